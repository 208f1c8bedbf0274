"""Replicates the log of a leader: sends appends, snapshots and heartbeats.

If `Config.merge_messages` is True, the leader does not send immediately. It records which messages
are due, and the next Ready contains them. Therefore one APP contains all proposals between two
Readies, and all reads share one round of heartbeats.

If `Config.merge_messages` is False, each input creates its messages at once.

Source: Raft paper, 5.3; thesis, 10.2.1; flow control follows etcd-io/raft.
"""

from __future__ import annotations

from splitbrain.node.raft.message import Entry, Index, Message, MessageType, Snapshot
from splitbrain.node.raft.progress import Progress, ProgressState
from splitbrain.node.raft.raft_state import RaftState

# A constant of the module is faster than an attribute of an enum class.
_APP, _HEARTBEAT = MessageType.APP, MessageType.HEARTBEAT
_REPLICATE = ProgressState.REPLICATE

# Sending


def append_to_all(raft: RaftState) -> None:
    """Send the new entries and the commit index to each follower.

    With merged messages, they are sent with the next Ready, otherwise at once.
    """
    if raft.merging:
        raft.sends_due = True
        return
    for progress in raft.peers:
        append_to(raft, progress)


def append_to(raft: RaftState, progress: Progress, *, even_if_empty: bool = True) -> bool:
    """Send one append to a follower. An append without entries is sent only if `even_if_empty`.

    With merged messages, the next Ready contains the append. Otherwise it is sent at once. Returns
    True if another append may be sent to the follower at once.
    """
    if raft.merging:
        progress.append_due = progress.append_due or even_if_empty
        raft.sends_due = True
        return False
    has_entries = progress.next <= raft.log.last_index and window_is_open(progress)
    if progress.is_paused() or not (even_if_empty or has_entries):
        return False
    progress.append_due = even_if_empty
    more = _send_append(raft, progress, {})
    progress.append_due = False
    return more


def has_due(raft: RaftState, progress: Progress) -> bool:
    """Return whether an append to this follower is due and can be sent now."""
    return not progress.is_paused() and (
        progress.append_due
        or progress.next <= raft.log.last_index
        or progress.can_bump_commit(raft.log.committed)
    )


def send_due(raft: RaftState) -> None:
    """Send the appends that are due, as far as each follower's window allows."""
    raft.sends_due = False
    recent: dict[tuple[Index, Index], tuple[Entry, ...]] = {}
    for progress in raft.peers:
        while has_due(raft, progress) and _send_append(raft, progress, recent):
            pass


def _send_append(
    raft: RaftState, progress: Progress, recent: dict[tuple[Index, Index], tuple[Entry, ...]]
) -> bool:
    """Send one APP if it is due, or a SNAP if the follower needs compacted entries.

    Returns True if another append may be sent to the follower at once. `recent` is a cache of
    entries, so that followers at the same position share one tuple.
    """
    log = raft.log
    before = progress.next - 1
    before_term = log.term_at(before)
    if before_term is None or _snapshot_goes_first(raft, progress):
        maybe_send_snapshot(raft, progress)
        return False
    entries: tuple[Entry, ...] = ()
    # An empty append may be sent even if the window is full. If all appends in the window were
    # lost, the rejection of the empty append restarts the replication.
    if progress.next <= log.last_index and window_is_open(progress):
        last = log.last_within(progress.next, log.last_index, raft.config.message_bytes_max)
        key = (progress.next, last)
        entries = recent.get(key) or log.between(*key)
        recent[key] = entries
    if not entries and not progress.append_due and not progress.can_bump_commit(log.committed):
        return False
    raft.send(
        Message(
            _APP,
            progress.id,
            raft.id,
            raft.term,
            before_term,
            before,
            log.committed,
            entries,
        )
    )
    progress.sent(len(entries), _payload_bytes(entries), log.committed)
    return progress.state is _REPLICATE


def _snapshot_goes_first(raft: RaftState, progress: Progress) -> bool:
    return (
        raft.config.snapshots_first
        and progress.state is ProgressState.PROBE
        and progress.next <= raft.log.snapshot.index
    )


def window_is_open(progress: Progress) -> bool:
    """Return whether the follower's window has room for an append."""
    return progress.state is not _REPLICATE or not progress.inflights.full()


def _payload_bytes(entries: tuple[Entry, ...]) -> int:
    size = 0
    for entry in entries:
        size += len(entry.data)
    return size


def maybe_send_snapshot(raft: RaftState, progress: Progress) -> bool:
    """Send a SNAP with the metadata of the newest snapshot, if the follower is active.

    Returns whether the message was sent. The owner of the `Raft` adds the data to the message. The
    data may be newer than the announced snapshot, up to the applied index. The owner must then also
    replace the metadata in the message.
    """
    if not progress.recent_active:
        progress.append_due = False  # The leader waits until the follower answers a heartbeat.
        return False
    metadata = raft.log.snapshot
    assert metadata.index >= raft.log.compacted_index, "compacted beyond the newest snapshot"
    progress.become_snapshot(metadata.index)
    raft.send(
        Message(MessageType.SNAP, progress.id, raft.id, raft.term, snapshot=Snapshot(metadata, b""))
    )
    return True


def broadcast_heartbeat(raft: RaftState) -> None:
    """Send a heartbeat to each follower.

    The acknowledgements confirm all reads that have arrived.
    """
    raft.reads.round_due = False
    context = raft.reads.heartbeat_context()
    for progress in raft.peers:
        # The commit index that is sent is at most the follower's match, because the follower's log
        # may differ after it.
        commit = min(progress.match, raft.log.committed)
        if raft.merging:
            progress.sent_commit = max(progress.sent_commit, commit)
        else:
            progress.sent_commit = commit  # The value may decrease, as in etcd-io/raft.
        raft.send(
            Message(
                _HEARTBEAT, progress.id, raft.id, raft.term, 0, 0, commit, (),
                False, 0, context,
            )
        )  # fmt: skip
