"""Handles the messages and the clock ticks of a leader."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from splitbrain.node.raft import apply_confchange, commit, confchange, election, quorum, replication
from splitbrain.node.raft.errors import ConfChangeInvalid, DropReason, ProposalDropped
from splitbrain.node.raft.message import NONE, Entry, EntryType, MemberId, Message, MessageType
from splitbrain.node.raft.progress import Progress, ProgressState
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.read_index import PendingRead
from splitbrain.node.raft.ready import ReadState, Role

# A constant of the module is faster than an attribute of an enum class.
_PROBE, _SNAPSHOT = ProgressState.PROBE, ProgressState.SNAPSHOT
_NORMAL = EntryType.NORMAL

# Time


def tick(raft: RaftState) -> None:
    """Advance the leader's clock by one tick.

    Send heartbeats, and check the quorum, when they are due.
    """
    raft.heartbeat_elapsed += 1
    raft.election_elapsed += 1
    if raft.election_elapsed >= raft.config.election_ticks:
        raft.election_elapsed = 0
        check_quorum(raft)
    if raft.role is Role.LEADER and raft.heartbeat_elapsed >= raft.config.heartbeat_ticks:
        raft.heartbeat_elapsed = 0
        for progress in raft.peers:
            progress.nudge_due = True
        replication.broadcast_heartbeat(raft)


def check_quorum(raft: RaftState) -> None:
    """Step down if a majority has sent nothing since the last check."""
    if raft.config.check_quorum and not quorum_is_active(raft):
        election.become_follower(raft, raft.term, NONE)
        return
    # The leadership transfer has had an election timeout to succeed, and is given up.
    raft.transferee = NONE
    for progress in raft.peers:
        progress.recent_active = False


def quorum_is_active(raft: RaftState) -> bool:
    """Return whether a majority has sent a message since the last check."""
    active = {member: progress.recent_active for member, progress in raft.progress.items()}
    active[raft.id] = True
    result = quorum.joint_tally(raft.voters, raft.voters_outgoing, active)
    return result is quorum.VoteResult.WON


# Proposals


def propose(raft: RaftState, data: bytes, kind: EntryType = _NORMAL) -> None:
    """Append one proposal to the leader's log. Raises ProposalDropped."""
    if raft.transferee or raft.id not in raft.progress:
        raise ProposalDropped(DropReason.TRANSFERRING if raft.transferee else DropReason.REMOVED)
    if not has_room(raft, len(data)):
        raise ProposalDropped(DropReason.TOO_MUCH_UNCOMMITTED)
    raft.uncommitted_bytes += len(data)
    raft.append_own(data, kind)
    if not raft.merging:
        replication.append_to_all(raft)


def propose_conf_change(raft: RaftState, kind: EntryType, data: bytes) -> None:
    """Append a change of the configuration, or an empty entry if the change is not possible now.

    The empty entry is as in etcd-io/raft. Raises ProposalDropped, or ConfChangeInvalid if `data` is
    not an encoded change.
    """
    if apply_confchange.refusal(raft, confchange.decode(data)):
        propose(raft, b"")
        return
    pending, raft.pending_conf_index = raft.pending_conf_index, raft.log.last_index + 1
    try:
        propose(raft, data, kind)
    except ProposalDropped:
        raft.pending_conf_index = pending
        raise


def leave_joint_when_due(raft: RaftState) -> None:
    """Propose to leave a joint configuration, if it is to be left automatically.

    The proposal can be dropped because of a leadership transfer. In this case, the function is
    called again when the next entry is applied.
    """
    if raft.conf_state.auto_leave and raft.log.applied >= raft.pending_conf_index:
        with suppress(ProposalDropped):
            propose_conf_change(
                raft, EntryType.CONF_CHANGE_V2, confchange.encode(confchange.LEAVE_JOINT)
            )


def has_room(raft: RaftState, size_bytes: int) -> bool:
    """Return whether a proposal of this size fits into the limit of uncommitted bytes.

    If there are no uncommitted bytes, a proposal of any size is accepted. Otherwise a single
    proposal above the limit could never be accepted.
    """
    return (
        raft.uncommitted_bytes == 0
        or size_bytes == 0
        or raft.uncommitted_bytes + size_bytes <= raft.config.uncommitted_bytes_max
    )


def on_proposal(raft: RaftState, message: Message) -> None:
    """Handle PROP: append the proposals that a follower has forwarded.

    A proposal that exceeds the limit of uncommitted bytes is dropped without a response, so its
    client gets an unknown outcome.
    """
    append_proposals(raft, message.entries)


def append_proposals(raft: RaftState, entries: Sequence[Entry]) -> None:
    """Append forwarded proposals. A proposal that cannot be appended is dropped, and counted."""
    for entry in entries:
        try:
            if entry.type is _NORMAL:
                propose(raft, entry.data)
            else:
                propose_conf_change(raft, entry.type, entry.data)
        except (ProposalDropped, ConfChangeInvalid):
            raft.proposals_dropped += 1


# Appends


def on_append_response(raft: RaftState, message: Message) -> None:
    """Handle APP_RESP, an acknowledgement or a rejection of an append."""
    progress = raft.progress.get(message.from_)
    if progress is None:
        return
    progress.recent_active = True
    if message.reject:
        on_rejection(raft, progress, message)
    elif message.index <= raft.log.last_index:
        on_acknowledgement(raft, progress, message)


def on_rejection(raft: RaftState, progress: Progress, message: Message) -> None:
    """Move the follower's `next` back to the last index at which its log may match this log.

    The index is computed from the hint in the rejection and the terms in this log.
    """
    hint = message.reject_hint
    if message.log_term > 0:
        hint, _ = raft.log.likely_match(min(hint, raft.log.last_index), message.log_term)
    if not progress.reject(message.index, hint):
        return
    if progress.state is ProgressState.REPLICATE:
        progress.become_probe()
    replication.append_to(raft, progress)


def on_acknowledgement(raft: RaftState, progress: Progress, message: Message) -> None:
    """Advance the follower's progress, and commit the entries that a majority has made durable."""
    increased = progress.acknowledge(message.index)
    probed = progress.state is _PROBE and progress.match == message.index
    if not increased and not probed:
        return
    if progress.state is _PROBE:
        progress.become_replicate()
    elif progress.state is _SNAPSHOT:
        # The follower may have received a later snapshot than the announced one. It can continue if
        # this log still contains the entries after the end of the follower's log.
        if progress.match + 1 >= raft.log.first_index:
            progress.become_replicate()
    else:
        progress.inflights.free_up_to(message.index)
    if commit.maybe_commit(raft):
        release_postponed_reads(raft)
    elif raft.merging and replication.has_due(raft, progress):
        raft.sends_due = True
    if not raft.merging:
        catch_up(raft, progress)
    if progress.id == raft.transferee and progress.match == raft.log.last_index:
        send_timeout_now(raft, progress.id)


def catch_up(raft: RaftState, progress: Progress) -> None:
    """Send a follower all the entries that it lacks, as far as its window allows.

    The leader calls this function only if `Config.merge_messages` is False.
    """
    if progress.id == raft.id:
        return
    if progress.can_bump_commit(raft.log.committed):
        replication.append_to(raft, progress)
    while replication.append_to(raft, progress, even_if_empty=False):
        pass


# Heartbeats


def on_heartbeat_response(raft: RaftState, message: Message) -> None:
    """Handle HEARTBEAT_RESP: the follower is alive.

    The response also confirms the reads that arrived before the heartbeat was sent.
    """
    progress = raft.progress.get(message.from_)
    if progress is None:
        return
    progress.recent_active = True
    if progress.nudge_due or not raft.merging:
        progress.nudge_due = False
        nudge(raft, progress)
    if message.context:
        raft.reads.acknowledge(message.from_, message.context)
        answer_confirmed_reads(raft)


def nudge(raft: RaftState, progress: Progress) -> None:
    """Schedule an append to a live follower, because an earlier append may be lost."""
    if progress.state is _SNAPSHOT:
        await_snapshot(raft, progress)
    progress.paused = False
    if progress.match < raft.log.last_index or progress.state is _PROBE:
        if not raft.merging:
            replication.append_to(raft, progress)
            return
        progress.append_due = True
        raft.sends_due = raft.sends_due or replication.has_due(raft, progress)


def await_snapshot(raft: RaftState, progress: Progress) -> None:
    """Treat a snapshot as lost if it has no result after `snapshot_ticks_max` ticks.

    The leader calls this function once per heartbeat.
    """
    progress.snapshot_elapsed += raft.config.heartbeat_ticks
    if progress.snapshot_elapsed >= raft.config.snapshot_ticks_max:
        on_snapshot_status(raft, progress.id, delivered=False)


# Reads


def on_read_index(raft: RaftState, message: Message) -> None:
    """Handle READ_INDEX: start the read that a follower has forwarded."""
    read_index(raft, message.from_, message.context)


def read_index(raft: RaftState, origin: MemberId, context: bytes) -> None:
    """Accept a read from `origin`, and answer it when a majority has confirmed this leader.

    There are three exceptions:

    - Before the first commit of this term, the commit index may be out of date. The read is
      postponed until this commit.
    - With lease-based reads, the read is answered at once, with the commit index.
    - If too many reads wait, the read is dropped, as if the network had lost it.
    """
    if raft.config.lease_based_reads and commit.committed_in_own_term(raft):
        answer_read(raft, PendingRead(origin, context, raft.log.committed))
        return
    if len(raft.reads) + len(raft.postponed_reads) >= raft.config.pending_reads_max:
        return
    if commit.committed_in_own_term(raft):
        start_read(raft, origin, context)
    else:
        raft.postponed_reads.append((origin, context))


def start_read(raft: RaftState, origin: MemberId, context: bytes) -> None:
    """Add a read that waits for a round of heartbeats, and schedule this round."""
    raft.reads.add(PendingRead(origin, context, raft.log.committed))
    answer_confirmed_reads(raft)  # The read is answered at once if one member is a majority.
    if raft.reads.round_due and not raft.merging:
        replication.broadcast_heartbeat(raft)


def release_postponed_reads(raft: RaftState) -> None:
    """Start the reads that were postponed until the first commit of this term."""
    if raft.postponed_reads and commit.committed_in_own_term(raft):
        postponed, raft.postponed_reads = raft.postponed_reads, []
        for origin, context in postponed:
            read_index(raft, origin, context)


def answer_confirmed_reads(raft: RaftState) -> None:
    """Answer all reads for which a majority has confirmed this leader."""
    for read in confirmed_reads(raft):
        answer_read(raft, read)
    if not raft.reads:
        raft.reads.round_due = False


def answer_read(raft: RaftState, read: PendingRead) -> None:
    """Pass the read's index to the owner of the Raft, or send it to the member that asked."""
    if read.origin == raft.id:
        raft.read_states.append(ReadState(read.index, read.context))
        return
    raft.send(
        Message(
            MessageType.READ_INDEX_RESP,
            read.origin,
            raft.id,
            raft.term,
            index=read.index,
            context=read.context,
        )
    )


def confirmed_reads(raft: RaftState) -> list[PendingRead]:
    """Remove and return the reads that a majority has confirmed."""
    return raft.reads.take_confirmed(raft.voters, raft.voters_outgoing)


# Leadership transfer


def on_transfer(raft: RaftState, message: Message) -> None:
    """Handle TRANSFER_LEADER: start the leadership transfer that a follower has asked for."""
    transfer(raft, message.from_)


def transfer(raft: RaftState, to: MemberId) -> None:
    """Transfer the leadership to the voter `to`, as soon as its log is complete.

    During the transfer, this leader drops proposals. If the transfer takes longer than an election
    timeout, the transfer is given up, and this member continues to lead. Source: Raft thesis, 3.10.
    """
    progress = raft.progress.get(to)
    if progress is None or progress.is_learner or to == raft.transferee:
        return
    raft.transferee = NONE
    if to == raft.id:
        return
    raft.election_elapsed = 0
    raft.transferee = to
    if progress.match == raft.log.last_index:
        send_timeout_now(raft, to)
    else:
        replication.append_to(raft, progress)


def send_timeout_now(raft: RaftState, to: MemberId) -> None:
    """Send TIMEOUT_NOW to the member `to`, which makes it campaign at once."""
    raft.send(Message(MessageType.TIMEOUT_NOW, to, raft.id, raft.term))


# Reports of the transport


def on_unreachable(raft: RaftState, member: MemberId) -> None:
    """Probe the follower again, because appends to it may be lost with the connection."""
    progress = raft.progress.get(member)
    if progress is not None and progress.state is ProgressState.REPLICATE:
        progress.become_probe()


def on_snapshot_status(raft: RaftState, member: MemberId, *, delivered: bool) -> None:
    """Handle the report that a SNAP was delivered to the follower or failed.

    In both cases, the leader probes the follower. If the snapshot was delivered, the leader probes
    from the entry after the snapshot on. If the delivery failed, it probes from the entry after the
    last match on.

    The leader does not send the probe at once, because the follower may still be installing the
    snapshot. It waits until the follower answers a heartbeat or acknowledges entries.
    """
    progress = raft.progress.get(member)
    if progress is None or progress.state is not _SNAPSHOT:
        return
    if not delivered:
        progress.pending_snapshot = 0
    progress.become_probe()
    progress.paused = True
