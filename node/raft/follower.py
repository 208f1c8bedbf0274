"""Handles the messages that a follower receives, such as appends, heartbeats and snapshots.

A candidate that becomes a follower uses these functions, too.

Source: Raft paper, figure 2; the hints in rejections follow etcd-io/raft.
"""

from __future__ import annotations

from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import NONE, Index, MemberId, Message, MessageType, Snapshot, Term
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import ReadState

# A constant of the module is faster than an attribute of an enum class.
_APP_RESP, _HEARTBEAT_RESP = MessageType.APP_RESP, MessageType.HEARTBEAT_RESP


def hear_leader(raft: RaftState, leader: MemberId) -> None:
    """Record that `leader` is the leader of this term, and restart the election timeout."""
    raft.election_elapsed = 0
    raft.leader = leader


# Entries


def on_append(raft: RaftState, message: Message) -> None:
    """Handle APP: append the entries, or reject them.

    A rejection contains a hint: the last position at which the two logs may be equal.
    """
    hear_leader(raft, message.from_)
    log = raft.log
    if contradicts_committed(log, message.index, message.log_term):
        raft.note_contradiction(
            f"the leader's entry {message.index} has term {message.log_term}; this member's entry"
            f" has term {log.term_at(message.index)} and is committed (up to {log.committed})"
        )
        return
    if message.index < log.committed:
        acknowledge(raft, message.from_, log.committed)
    elif log_matches(log, message.index, message.log_term):
        last = append_entries(log, message)
        log.commit_to(committable_index(message.commit, last))
        acknowledge(raft, message.from_, last)
    else:
        reject_append(raft, message)


def log_matches(log: Log, index: Index, term: Term) -> bool:
    """Return whether this log contains the entry that comes before the entries of an APP.

    `index` and `term` are the position of this entry in the leader's log. Source: Raft paper, 5.3.
    """
    return log.matches(index, term)


def contradicts_committed(log: Log, index: Index, term: Term) -> bool:
    """Return whether this log has a committed entry at `index` that differs from the leader's.

    This is possible only if a member has lost durable data.
    """
    return index <= log.committed and log.term_at(index) not in (None, term)


def append_entries(log: Log, message: Message) -> Index:
    """Append the entries of an APP that this log lacks.

    Return the index up to which the logs match. Entries that the log already contains stay. Entries
    after the last one in the message stay, too, because the message may be old.
    """
    conflict = log.find_conflict(message.entries)
    if conflict:
        log.append(message.entries[conflict - message.index - 1 :])
    return message.index + len(message.entries)


def committable_index(leader_commit: Index, matching: Index) -> Index:
    """Return the index up to which a follower may commit.

    `matching` is the index up to which its log matches the leader's. Later entries may differ.
    """
    return min(leader_commit, matching)


def acknowledge(raft: RaftState, leader: MemberId, index: Index) -> None:
    """Acknowledge that this log is durable up to `index` and equal to the leader's log.

    If several appends arrive before one sync, only the last acknowledgement is sent.
    """
    waiting = raft.messages_after_sync
    if waiting and raft.merging and covers(waiting[-1], leader, raft.term, index):
        waiting.pop()
    waiting.append(Message(_APP_RESP, leader, raft.id, raft.term, index=index))


def covers(message: Message, leader: MemberId, term: Term, index: Index) -> bool:
    """Return whether an acknowledgement of `index` makes the waiting `message` unnecessary.

    This is the case if `message` acknowledges the same or an earlier index to the same leader.
    """
    return (
        message.type is _APP_RESP
        and message.to == leader
        and message.term == term
        and not message.reject
        and message.index <= index
    )


def reject_append(raft: RaftState, message: Message) -> None:
    """Reject an APP. The response contains the last position at which the logs may match."""
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
    """Handle HEARTBEAT: advance the commit index, and respond with the context of the message.

    The leader needs the context to confirm reads. The response does not claim that anything is
    durable, so it is sent at once.
    """
    hear_leader(raft, message.from_)
    log = raft.log
    if message.commit > log.last_index:
        raft.note_contradiction(
            f"the leader expects entry {message.commit} in this log, but the log ends at"
            f" {log.last_index}: it has lost entries"
        )
        return
    log.commit_to(message.commit)
    raft.send(
        Message(
            _HEARTBEAT_RESP, message.from_, raft.id, raft.term, 0, 0, 0, (),
            False, 0, message.context,
        )
    )  # fmt: skip


# Snapshots


def on_snapshot(raft: RaftState, message: Message) -> None:
    """Handle SNAP: replace the log, unless the snapshot contains nothing new."""
    hear_leader(raft, message.from_)
    assert message.snapshot is not None
    if restore(raft, message.snapshot):
        acknowledge(raft, message.from_, raft.log.last_index)
    else:
        acknowledge(raft, message.from_, raft.log.committed)


def restore(raft: RaftState, snapshot: Snapshot) -> bool:
    """Replace the log by `snapshot`. Returns False if the log is kept.

    The log is kept in three cases:

    - This member has already committed the entries of the snapshot.
    - This member is not in the configuration of the snapshot.
    - The log contains the snapshot's last entry.
    """
    metadata = snapshot.metadata
    conf_state = metadata.conf_state
    if metadata.index <= raft.log.committed:
        return False
    if conf_state.voters and raft.id not in conf_state.members:
        return False
    if raft.log.matches(metadata.index, metadata.term):
        # The log already contains the entries of the snapshot; only the commit index is new.
        raft.log.commit_to(metadata.index)
        return False
    raft.log.restore(snapshot)
    if conf_state.voters:
        raft.adopt_configuration(conf_state, metadata.index)
    return True


# Leadership transfer


def on_transfer(raft: RaftState, message: Message) -> None:
    """Handle TRANSFER_LEADER: forward it to the leader."""
    transfer(raft, message.from_)


def transfer(raft: RaftState, to: MemberId) -> None:
    """Ask the leader to transfer the leadership to `to`."""
    if raft.leader != NONE:
        raft.send(Message(MessageType.TRANSFER_LEADER, raft.leader, to, raft.term))


def forget_leader(raft: RaftState) -> None:
    """Forget the leader, so that this member can grant votes without waiting for a timeout.

    The call has no effect with lease-based reads, because the leader then relies on this member to
    refuse votes.
    """
    if not raft.config.lease_based_reads:
        raft.leader = NONE


# Reads


def on_read_index_response(raft: RaftState, message: Message) -> None:
    """Handle READ_INDEX_RESP: pass the answer to the owner with the next Ready."""
    raft.read_states.append(ReadState(message.index, message.context))
