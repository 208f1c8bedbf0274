"""Tracks what a leader knows about one follower, and decides what it may send to the follower.

The leader first probes a follower, with one append per heartbeat, until an acknowledgement shows
where the logs agree. Then it streams entries ahead of the acknowledgements (replicate). A follower
that needs compacted entries gets a snapshot, and no appends until the snapshot is acknowledged or
lost.

Source: etcd-io/raft, `tracker/progress.go`.
"""

from __future__ import annotations

from enum import Enum

from splitbrain.node.raft.inflights import Inflights
from splitbrain.node.raft.message import Index, MemberId


class ProgressState(Enum):
    """How the leader sends entries to a follower: probe, replicate or snapshot."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


# A constant of the module is faster than an attribute of an enum class.
_PROBE, _REPLICATE, _SNAPSHOT = (
    ProgressState.PROBE, ProgressState.REPLICATE, ProgressState.SNAPSHOT,
)  # fmt: skip


class Progress:
    """What a leader knows about one member.

    `match` is the last index up to which the member's log is known to be durable and equal to the
    leader's log. For the leader itself, it is the durable index of its own log. `next` is the index
    of the next entry to send. Invariant: 0 <= match < next.
    """

    __slots__ = (
        "append_due",
        "id",
        "inflights",
        "is_learner",
        "match",
        "next",
        "nudge_due",
        "paused",
        "pending_snapshot",
        "recent_active",
        "sent_commit",
        "snapshot_elapsed",
        "state",
    )

    def __init__(
        self, member: MemberId, next_index: Index, inflights: Inflights, *, is_learner: bool = False
    ) -> None:
        self.id = member
        self.match: Index = 0
        self.next: Index = next_index
        self.state = _PROBE
        self.pending_snapshot: Index = 0
        self.snapshot_elapsed = 0
        """The number of ticks since the pending snapshot was sent, while the follower was alive."""
        self.sent_commit: Index = 0
        """The highest commit index that was sent to the follower."""
        self.recent_active = False
        """Whether the follower has sent a message since the last quorum check."""
        self.paused = False
        """Whether the leader sends no appends for now. It ends with an acknowledgement, a
        rejection, or the response to the next heartbeat (`nudge_due`)."""
        self.append_due = False
        """Whether the leader must send an append even if it has no entries, to learn where the
        follower's log ends."""
        self.nudge_due = False
        """Whether the first response to the last regular heartbeat has not arrived yet. This
        response ends `paused` and makes an append due, because an earlier append may be lost.
        Responses to the heartbeats of reads have no such effect, because each read would then cost
        an append."""
        self.inflights = inflights
        self.is_learner = is_learner

    def is_paused(self) -> bool:
        """Return whether the leader must not send an append now."""
        return self.paused or self.state is _SNAPSHOT

    def become_probe(self) -> None:
        """Enter the state PROBE: send one append at a time, from the entry after `match` on."""
        following_snapshot = self.pending_snapshot + 1 if self.state is _SNAPSHOT else 0
        self._enter(_PROBE)
        self.next = max(self.match + 1, following_snapshot)
        self.sent_commit = min(self.sent_commit, self.next - 1)

    def become_replicate(self) -> None:
        """Enter the state REPLICATE: stream entries, from the entry after `match` on."""
        self._enter(_REPLICATE)
        self.next = self.match + 1

    def become_snapshot(self, index: Index) -> None:
        """Enter the state SNAPSHOT: a snapshot at `index` was sent.

        No append is sent until the snapshot is acknowledged, has failed, or is treated as lost.
        """
        self._enter(_SNAPSHOT)
        self.pending_snapshot = index
        self.next = index + 1
        self.sent_commit = index

    def _enter(self, state: ProgressState) -> None:
        self.state = state
        self.paused = False
        self.append_due = False
        self.pending_snapshot = 0
        self.snapshot_elapsed = 0
        self.inflights.clear()

    def sent(self, entries: int, size_bytes: int, commit: Index) -> None:
        """Record that an append was sent, with `entries` entries from `next` on.

        `commit` is the commit index in the message.
        """
        assert self.state is not _SNAPSHOT, "an append to a follower in SNAPSHOT"
        self.append_due = False
        self.sent_commit = commit
        if self.state is _REPLICATE:
            if entries:
                self.next += entries
                self.inflights.add(self.next - 1, size_bytes)
            self.paused = self.inflights.full()
        elif entries:
            self.paused = True

    def can_bump_commit(self, commit: Index) -> bool:
        """Return whether a message with `commit` can increase the follower's commit index.

        The follower cannot commit beyond the last entry that was sent to it, `next` - 1.
        """
        return commit > self.sent_commit and self.sent_commit < self.next - 1

    def acknowledge(self, index: Index) -> bool:
        """Record that the follower's log is durable and equal to the leader's log up to `index`.

        Returns False if that was known already.
        """
        if index <= self.match:
            return False
        self.match = index
        self.next = max(self.next, index + 1)
        self.paused = False
        return True

    def reject(self, rejected: Index, hint: Index) -> bool:
        """Record that the follower's log does not match at `rejected`, but may match at `hint`.

        Returns False if the rejection is stale, because it was reordered or duplicated.
        """
        if self.state is _REPLICATE:
            if rejected <= self.match:
                return False
            self.next = self.match + 1
            self.sent_commit = min(self.sent_commit, self.next - 1)
            return True
        if self.state is _SNAPSHOT or rejected != self.next - 1:
            return False
        self.next = max(min(rejected, hint + 1), self.match + 1)
        self.sent_commit = min(self.sent_commit, self.next - 1)
        self.paused = False
        return True
