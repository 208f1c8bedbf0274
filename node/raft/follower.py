"""What a follower does with what it hears; candidates join in when a leader is there.

Source: Raft paper, figure 2; hints on rejection as in etcd-io/raft.
"""

from __future__ import annotations

from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import NONE, Index, MemberId, Message, MessageType, Snapshot, Term
from splitbrain.node.raft.ready import ReadState
from splitbrain.node.raft.state import RaftState


def hear_leader(raft: RaftState, leader: MemberId) -> None:
    raft.election_elapsed = 0
    raft.leader = leader


# Entries


def on_append(raft: RaftState, message: Message) -> None:
    """APP: append what follows our log, or say how far back it may match."""
    hear_leader(raft, message.from_)
    log = raft.log
    if contradicts_committed(log, message.index, message.log_term):
        raft.note_contradiction(
            f"the leader's entry {message.index} is of term {message.log_term}, ours is"
            f" of term {log.term_at(message.index)} and committed (up to {log.committed})"
        )
        return
    if message.index < log.committed:
        acknowledge(raft, message.from_, log.committed)
    elif log_matches(log, message.index, message.log_term):
        last = append_entries(log, message)
        log.commit_to(commit_told(message.commit, last))
        acknowledge(raft, message.from_, last)
    else:
        reject_append(raft, message)


def log_matches(log: Log, index: Index, term: Term) -> bool:
    """The consistency check of the Raft paper, 5.3: the entry before the new ones."""
    return log.matches(index, term)


def contradicts_committed(log: Log, index: Index, term: Term) -> bool:
    """Whether another log has another entry where ours is committed: never, unless
    somebody lost what it had made durable."""
    return index <= log.committed and log.term_at(index) not in (None, term)


def append_entries(log: Log, message: Message) -> Index:
    """Add what is missing; return how far our log is now known to match the leader's.

    Entries already here stay, with what follows them: the message may be an old one.
    """
    conflict = log.find_conflict(message.entries)
    if conflict:
        log.append(message.entries[conflict - message.index - 1 :])
    return message.index + len(message.entries)


def commit_told(leader_commit: Index, matching: Index) -> Index:
    """How far a follower may commit: what lies beyond `matching` may differ still."""
    return min(leader_commit, matching)


def acknowledge(raft: RaftState, leader: MemberId, index: Index) -> None:
    """Promise that our log is durable up to `index`, and equal to the leader's.

    Of several appends before one sync, one acknowledgement says all.
    """
    waiting = raft.messages_after_sync
    if waiting and covers(waiting[-1], leader, raft.term, index):
        waiting.pop()
    waiting.append(Message(MessageType.APP_RESP, leader, raft.id, raft.term, index=index))


def covers(message: Message, leader: MemberId, term: Term, index: Index) -> bool:
    """Whether an acknowledgement of `index` says all that `message` says."""
    return (
        message.type is MessageType.APP_RESP
        and message.to == leader
        and message.term == term
        and not message.reject
        and message.index <= index
    )


def reject_append(raft: RaftState, message: Message) -> None:
    hint, hint_term = raft.log.likely_match(
        min(message.index, raft.log.last_index), message.log_term
    )
    raft.send_after_sync(
        Message(
            MessageType.APP_RESP,
            message.from_,
            raft.id,
            raft.term,
            log_term=hint_term,
            index=message.index,
            reject=True,
            reject_hint=hint,
        )
    )


# Heartbeats


def on_heartbeat(raft: RaftState, message: Message) -> None:
    """HEARTBEAT: learn the commit index; answer with the context, for reads.

    The answer promises nothing that must be durable: it says who led as it was sent.
    """
    hear_leader(raft, message.from_)
    log = raft.log
    if message.commit > log.last_index:
        raft.note_contradiction(
            f"the leader says that we hold entry {message.commit}; our log ends at"
            f" {log.last_index}: it has lost entries"
        )
        return
    log.commit_to(message.commit)
    raft.send(
        Message(
            MessageType.HEARTBEAT_RESP, message.from_, raft.id, raft.term, 0, 0, 0, (),
            False, 0, message.context,
        )
    )  # fmt: skip


# Snapshots


def on_snapshot(raft: RaftState, message: Message) -> None:
    """SNAP: replace the log, unless all that it holds is known here to be committed."""
    hear_leader(raft, message.from_)
    assert message.snapshot is not None
    if restore(raft, message.snapshot):
        acknowledge(raft, message.from_, raft.log.last_index)
    else:
        acknowledge(raft, message.from_, raft.log.committed)


def restore(raft: RaftState, snapshot: Snapshot) -> bool:
    metadata = snapshot.metadata
    conf_state = metadata.conf_state
    if metadata.index <= raft.log.committed:
        return False
    if conf_state.voters and raft.id not in conf_state.voters + conf_state.learners:
        return False
    if raft.log.matches(metadata.index, metadata.term):
        # Our log goes as far already: only the commit index is news.
        raft.log.commit_to(metadata.index)
        return False
    raft.log.restore(snapshot)
    raft.adopt_configuration(conf_state)
    return True


# Forwarding


def on_proposal(raft: RaftState, message: Message) -> None:
    """PROP that another member sent here in the belief that we lead."""
    if can_forward(raft, message.from_):
        raft.forward(message.entries)


def on_read_index(raft: RaftState, message: Message) -> None:
    """READ_INDEX likewise; the leader's answer goes straight to who asked."""
    if can_forward(raft, message.from_):
        raft.send(
            Message(MessageType.READ_INDEX, raft.leader, message.from_, context=message.context)
        )


def can_forward(raft: RaftState, origin: MemberId) -> bool:
    """Never back to where it comes from: two members that each take the other for the
    leader would pass it on for ever."""
    return raft.leader not in (NONE, origin)


def on_read_index_response(raft: RaftState, message: Message) -> None:
    raft.read_states.append(ReadState(message.index, message.context))
