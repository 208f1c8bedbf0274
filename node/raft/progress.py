"""What a leader knows of one follower, and what it may send to it.

A follower is first probed, one append per heartbeat, until an acknowledgement shows
where the logs agree; then entries are streamed to it ahead of acknowledgements
(replicate); one that needs what was compacted gets a snapshot, and nothing else
until that is settled. Source: etcd-io/raft, `tracker/progress.go`.
"""

from __future__ import annotations

from enum import Enum

from splitbrain.node.raft.inflights import Inflights
from splitbrain.node.raft.message import Index, MemberId


class ProgressState(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress:
    """One follower (or the leader itself, whose `match` is its own durable log).

    Invariant: 0 <= match < next.
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
        self.state = ProgressState.PROBE
        self.pending_snapshot: Index = 0
        self.snapshot_elapsed = 0
        """Ticks since the pending snapshot was sent, with the follower alive."""
        self.sent_commit: Index = 0
        """The highest commit index on its way to the follower."""
        self.recent_active = False
        """Heard from since the last check of the quorum."""
        self.paused = False
        """No append may go until an acknowledgement, a rejection, or a nudge."""
        self.append_due = False
        """An append shall go even if it is empty: it asks where the follower stands."""
        self.nudge_due = False
        """The first answer to the last regular heartbeat has not come yet. It lifts
        `paused` and asks for an append, so that a lost one is noticed; answers to the
        heartbeats of reads do not, or each read would cost an append as well."""
        self.inflights = inflights
        self.is_learner = is_learner

    def is_paused(self) -> bool:
        return self.paused or self.state is ProgressState.SNAPSHOT

    def become_probe(self) -> None:
        """Send one append at a time, from what is surely known."""
        following_snapshot = (
            self.pending_snapshot + 1 if self.state is ProgressState.SNAPSHOT else 0
        )
        self._enter(ProgressState.PROBE)
        self.next = max(self.match + 1, following_snapshot)
        self.sent_commit = min(self.sent_commit, self.next - 1)

    def become_replicate(self) -> None:
        """Stream from the follower's match on."""
        self._enter(ProgressState.REPLICATE)
        self.next = self.match + 1

    def become_snapshot(self, index: Index) -> None:
        """A snapshot at `index` is on its way; appends wait."""
        self._enter(ProgressState.SNAPSHOT)
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
        """An append of that many entries, with that commit index, was sent from `next`."""
        assert self.state is not ProgressState.SNAPSHOT, "an append to one awaiting a snapshot"
        self.append_due = False
        self.sent_commit = commit
        if self.state is ProgressState.REPLICATE:
            if entries:
                self.next += entries
                self.inflights.add(self.next - 1, size_bytes)
            self.paused = self.inflights.full()
        elif entries:
            self.paused = True

    def can_bump_commit(self, commit: Index) -> bool:
        """Whether telling `commit` may move the follower's own commit index.

        It cannot follow further than to what was sent to it, `next` - 1.
        """
        return commit > self.sent_commit and self.sent_commit < self.next - 1

    def acknowledge(self, index: Index) -> bool:
        """The follower's log is durable and equal up to `index`. False if that is old."""
        if index <= self.match:
            return False
        self.match = index
        self.next = max(self.next, index + 1)
        self.paused = False
        return True

    def reject(self, rejected: Index, hint: Index) -> bool:
        """The follower has no match at `rejected`, but may have one at `hint`.

        Returns False if the rejection is stale: reordered, or sent twice.
        """
        if self.state is ProgressState.REPLICATE:
            if rejected <= self.match:
                return False
            self.next = self.match + 1
            self.sent_commit = min(self.sent_commit, self.next - 1)
            return True
        if self.state is ProgressState.SNAPSHOT or rejected != self.next - 1:
            return False
        self.next = max(min(rejected, hint + 1), self.match + 1)
        self.sent_commit = min(self.sent_commit, self.next - 1)
        self.paused = False
        return True
