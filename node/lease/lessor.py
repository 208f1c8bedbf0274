"""Decides on the leader when leases expire, by the leader's own clock.

Only one lessor, the *primary*, lets leases expire. A member becomes primary when it is leader and
has applied the first entry of its term. It then starts the time of each lease again, and adds one
election timeout, so that clients have time to find the new leader. Other members know no expiry
times.

Twice a second, the primary proposes to end the expired leases. It also proposes checkpoints. A
checkpoint records the remaining time of each lease whose time is longer than the checkpoint
interval. A new leader restarts these leases with the recorded time instead of the whole time to
live.

Both proposals contain the term of the primary. They have no effect if another leader appends them
to the log, so a deposed leader never ends a lease.

Source: etcd's `server/lease/lessor.go`; etcd issue 15247.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass

from splitbrain.node.lease.counts import LeaseCounts
from splitbrain.node.messages.lease import (
    LeaseCheckpoint,
    LeaseCheckpointRequest,
    LeaseExpireRequest,
    LessorRequest,
)
from splitbrain.node.mvcc.lease_table import Lease, LeaseTable
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.world import Clock, Timer

TICK_S = 0.5
"""The interval at which expired leases are searched. Source: etcd's revokeExpiredLeases loop."""
EXPIRIES_AT_ONCE = 500
"""The maximal number of leases whose end is proposed in one interval.

Source: etcd's leaseRevokeRate, for half a second.
"""
CHECKPOINTS_AT_ONCE = 1000
"""The maximal number of leases in one checkpoint. Source: etcd's maxLeaseCheckpointBatchSize."""
EXPIRY_RETRY_NS = 3_000_000_000
"""After this time, the end of a lease is proposed again, if the lease still exists.

Source: etcd's expiredLeaseRetryInterval.
"""
_S = 1_000_000_000


@dataclass(slots=True)
class _Times:
    """The expiry time of a lease and the proposals about the lease, on the primary.

    Times are in nanoseconds of the primary's monotonic clock.
    """

    expires_ns: int
    end_ns: int
    """The next time to propose the end of the lease, provided that it has expired by then."""
    checkpoint_ns: int = 0
    """The next time to propose a checkpoint of the lease. 0 means never."""
    recording: int = 0
    """The number of checkpoints of the lease that were proposed and are not applied yet."""
    end_proposed: bool = False
    """Whether the end of the lease was proposed since its time was last restarted."""


class Lessor:
    """Keeps the expiry times of the leases in `table` while this member is the primary.

    `leading_term()` returns Raft's term while this member is leader, and otherwise 0. `propose`
    passes a request to Raft, and raises ProposalDropped. `extension_s` is the time that a new
    primary adds to each lease.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        table: LeaseTable,
        leading_term: Callable[[], int],
        propose: Callable[[LessorRequest], None],
        extension_s: float,
        checkpoint_interval_s: int,
        expiries_at_once: int = EXPIRIES_AT_ONCE,
    ) -> None:
        self._clock = clock
        self._table = table
        self._leading_term = leading_term
        self._propose = propose
        self._extension_ns = round(extension_s * _S)
        self._expiries_at_once = expiries_at_once
        self._checkpoint_interval_ns = checkpoint_interval_s * _S
        self._term = 0
        self._times: dict[int, _Times] = {}
        self._due: list[tuple[int, int]] = []
        """A heap of (time, lease id). An element whose time is no longer that of the lease is
        ignored."""
        self._waiting: dict[int, list[asyncio.Future[None]]] = {}
        """For each lease, the requests that wait for its end."""
        self._timer: Timer | None = None
        self.counts = LeaseCounts()
        table.observer = self

    # --- the primary --------------------------------------------------------------

    @property
    def primary_term(self) -> int:
        """The term in which this member is the primary, or 0 if it is not."""
        return self._term if self._term == self._leading_term() else 0

    def first_entry_applied(self, term: int) -> None:
        """Become primary if this member is the leader of `term`. Restart the time of each lease.

        This is called when the first entry of `term` is applied. The store then contains all leases
        that earlier leaders granted.
        """
        if term != self._leading_term() or term == self._term:
            return
        self.demote()
        self._term = term
        for lease in self._table.all():
            self._start(lease, lease.recorded_s * _S + self._extension_ns)

    def role_changed(self) -> None:
        """Stop being primary, unless this member is still the leader of the same term."""
        if self._term and not self.primary_term:
            self.demote()

    def demote(self) -> None:
        """Stop being primary: forget all times, and wake the requests that wait in `ended`."""
        self._term = 0
        self._times.clear()
        self._due.clear()
        for lease_id in list(self._waiting):
            self._wake_waiting(lease_id)

    # --- changes of the table -----------------------------------------------------

    def granted(self, lease: Lease) -> None:
        """Count a new lease, and start its time if this member is primary."""
        self.counts.granted += 1
        self.counts.ttls_s[lease.ttl_s] += 1
        if self.primary_term:
            self._start(lease, lease.ttl_s * _S)

    def recorded(self, lease: Lease) -> None:
        """Schedule the next checkpoint of a lease, whose remaining time an entry has just recorded.

        `times.recording` counts the checkpoints that are proposed and not yet applied. A recorded
        time of 0 comes from a renewal, not from a checkpoint, so it does not change this count.
        """
        times = self._times.get(lease.id)
        if times is not None:
            if lease.remaining_s:
                times.recording = max(0, times.recording - 1)
            self._schedule_checkpoint(lease.id, times)

    def removed(self, lease_id: int) -> None:
        """Forget a lease's times when it has ended, and wake the requests that wait for its end."""
        self.counts.revoked += 1
        self._times.pop(lease_id, None)
        self._wake_waiting(lease_id)

    # --- requests, on the primary -------------------------------------------------

    def has_expired(self, lease_id: int) -> bool:
        """Return whether the time of the lease has passed. Such a lease must not be renewed.

        The end of the lease may already have been proposed.
        """
        times = self._times.get(lease_id)
        return times is not None and times.expires_ns <= self._clock.monotonic_ns()

    def is_recorded(self, lease: Lease) -> bool:
        """Return whether a checkpoint of the lease is applied or proposed.

        If so, a renewal must first replace the recorded remaining time, because a new leader would
        restart the lease with this time.
        """
        times = self._times.get(lease.id)
        return bool(lease.remaining_s) or (times is not None and times.recording > 0)

    def renew(self, lease: Lease) -> None:
        """Restart the time of the lease with its whole time to live."""
        self.counts.renewed += 1
        self._start(lease, lease.ttl_s * _S)

    def remaining_s(self, lease: Lease) -> int:
        """Return the remaining time in whole seconds, rounded as in etcd.

        The result is negative if the time has passed.
        """
        return int((self._expires_ns(lease) - self._clock.monotonic_ns()) / _S)

    def by_expiry(self) -> list[int]:
        """Return the ids of all leases, in the order in which they expire.

        A member that is not primary knows no times, and returns the ids in ascending order.
        """
        leases = sorted(self._table.all(), key=lambda one: one.id)
        return [one.id for one in sorted(leases, key=self._expires_ns)]

    def ended(self, lease_id: int) -> asyncio.Future[None]:
        """Return a future that is done when the lease has ended.

        It is also done when this member stops being primary.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(lease_id, []).append(future)
        return future

    # --- times --------------------------------------------------------------------

    def _expires_ns(self, lease: Lease) -> int:
        times = self._times.get(lease.id)
        return 0 if times is None else times.expires_ns

    def _start(self, lease: Lease, duration_ns: int) -> None:
        times = self._times.setdefault(lease.id, _Times(0, 0))
        times.expires_ns = times.end_ns = self._clock.monotonic_ns() + duration_ns
        heapq.heappush(self._due, (times.expires_ns, lease.id))
        self._schedule_checkpoint(lease.id, times)
        if self._timer is None:
            self._timer = self._clock.call_later(TICK_S, self._tick)

    def _schedule_checkpoint(self, lease_id: int, times: _Times) -> None:
        now = self._clock.monotonic_ns()
        times.checkpoint_ns = 0
        if times.expires_ns - now > self._checkpoint_interval_ns:
            times.checkpoint_ns = now + self._checkpoint_interval_ns
            heapq.heappush(self._due, (times.checkpoint_ns, lease_id))

    def _tick(self) -> None:
        self._timer = None
        if not self.primary_term:
            return
        now = self._clock.monotonic_ns()
        expired, unrecorded = self._take_due(now)
        for lease_id in expired:
            self._propose_end(lease_id, now)
        if unrecorded:
            self._propose_checkpoint(unrecorded, now)
        if self._times:
            self._timer = self._clock.call_later(TICK_S, self._tick)

    def _take_due(self, now: int) -> tuple[list[int], list[int]]:
        """Remove the due leases from the heap, and return their ids in two lists.

        - The first list contains the leases that have expired.
        - The second list contains the leases that need a checkpoint.

        Each list has a limit. Leases over the limit stay in the heap.
        """
        expired: dict[int, None] = {}
        unrecorded: dict[int, None] = {}
        while self._due and self._due[0][0] <= now:
            if len(expired) == self._expiries_at_once or len(unrecorded) == CHECKPOINTS_AT_ONCE:
                break
            due_ns, lease_id = heapq.heappop(self._due)
            times = self._times.get(lease_id)
            if times is None:
                continue
            if due_ns == times.end_ns:
                expired[lease_id] = None
            elif due_ns == times.checkpoint_ns and now < times.expires_ns:
                unrecorded[lease_id] = None
        return list(expired), list(unrecorded)

    def _propose_end(self, lease_id: int, now: int) -> None:
        times = self._times[lease_id]
        if not times.end_proposed:
            times.end_proposed = True
            self.counts.expired += 1
        times.end_ns = now + EXPIRY_RETRY_NS
        heapq.heappush(self._due, (times.end_ns, lease_id))
        try:
            self._propose(LeaseExpireRequest(lease_id, self._term))
        except ProposalDropped:
            return  # The end of the lease is proposed again later.

    def _propose_checkpoint(self, lease_ids: list[int], now: int) -> None:
        remaining = []
        for lease_id in lease_ids:
            times = self._times[lease_id]
            left_s = -(-(times.expires_ns - now) // _S)
            remaining.append(LeaseCheckpoint(lease_id, left_s))
            self._schedule_checkpoint(lease_id, times)
        try:
            self._propose(LeaseCheckpointRequest(tuple(remaining), self._term))
        except ProposalDropped:
            return
        for lease_id in lease_ids:
            self._times[lease_id].recording += 1

    def _wake_waiting(self, lease_id: int) -> None:
        for future in self._waiting.pop(lease_id, ()):
            if not future.done():
                future.set_result(None)
