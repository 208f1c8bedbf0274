"""Collects what the rules of the checker `lease` judge: the history, its leases, the change log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from splitbrain.checkers.coordination.keep_alive_streams import separated
from splitbrain.checkers.coordination.leader_changes import LeaderChange, leader_changes
from splitbrain.checkers.coordination.lease_keys import LeaseKeys, find_keys, queue_names
from splitbrain.checkers.coordination.leases_of_history import Lease, Leases, S, gather
from splitbrain.checkers.coordination.revision_times import RevisionTimes
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.reference_member import reference
from splitbrain.histories.history import FaultWindow, History
from splitbrain.histories.member_state import Change

LATE_NS = 5 * S
"""The time allowed from the end of a lease to the deletion of its keys. The leader looks for
expired leases twice a second, and revokes them through Raft. It may be busy. If a new leader is
elected first, an election timeout is added."""


@dataclass(frozen=True)
class LeaseEvidence:
    """The history with its leases, and the members' change log if it is complete."""

    history: History
    leases: Leases
    clock: RevisionTimes
    changes: tuple[Change, ...] | None
    """None if no member's change log is known from the first revision on."""
    unknown: str
    """The reason why `changes` is None, or ""."""
    checkpoint_s: int
    """The interval in s at which leaders record the remaining time of leases, or 0."""
    checkpoints_persist: bool

    @classmethod
    def of(cls, evidence: Evidence) -> LeaseEvidence:
        known = reference(evidence.members)
        unknown = ""
        if known is None:
            unknown = "no member's change log is known"
        elif known.first_revision > 2:
            unknown = f"the change log contains no revision before {known.first_revision}"
        return cls(
            history=evidence.history,
            leases=gather(tuple(separated(evidence.history.services))),
            clock=RevisionTimes(evidence.history),
            changes=tuple(known.changes) if known is not None and not unknown else None,
            unknown=unknown,
            checkpoint_s=evidence.lease_checkpoint_s,
            checkpoints_persist=evidence.lease_checkpoints_persist,
        )

    @cached_property
    def keys(self) -> LeaseKeys:
        """Return the keys of each lease, from the change log. Empty if no change log is known."""
        return find_keys(self.history, self.changes or (), self.clock)

    @cached_property
    def elections(self) -> tuple[LeaderChange, ...]:
        """Return the elections of Raft leaders that the terms in the answers show."""
        return leader_changes(self.history)

    @cached_property
    def queues(self) -> set[str]:
        """Return the names of the locks and elections in the history."""
        return queue_names(self.history)

    def faults_between(self, begin: int, end: int) -> list[FaultWindow]:
        """Return the faults that were in force at any time from `begin` to `end`."""
        return [fault for fault in self.history.faults if fault.overlaps(begin, end)]

    def clocks_drifted(self, begin: int, end: int) -> bool:
        """Return whether the fault `drift` was in force at any time from `begin` to `end`.

        No store can measure the time of a lease with a clock that runs at a wrong rate.
        """
        return any(fault.f == "drift" for fault in self.faults_between(begin, end))

    def restarts(self, until: int) -> Iterable[int]:
        """Yield times up to `until` at which the time of every lease may have started again.

        There is one time for each election, because a new leader extends each lease by its whole
        time to live. There is also one for each fault, namely its end, because a leader change
        during a fault may be visible to no client.
        """
        for election in self.elections:
            if election.by <= until + LATE_NS:
                yield min(election.by, until)
        for fault in self.history.faults:
            if fault.begin <= until:
                yield until if fault.end is None else min(fault.end, until)

    def latest_end(self, lease: Lease, until: int) -> tuple[int, int, bool]:
        """Return the latest time at which `lease` may have ended, given what happened by `until`.

        The result is a triple:

        - the latest end, including LATE_NS, the time allowed for the deletion of the keys;
        - the last time at which the lease's time may have started;
        - True if an election or a fault may have started it then (`restarts`), False if a grant or
          a keep-alive may have.

        Keep-alives, elections and faults after the end of the lease do not count.
        """
        tries = [
            (op.call, (op.ended or op.call) + (lease.ttl_ns if op.outcome == "info" else 0), False)
            for op in lease.tries
        ]
        others = [(one.after, one.by, True) for one in self.elections]
        others += [
            (fault.begin, until if fault.end is None else fault.end, True)
            for fault in self.history.faults
        ]
        start, restarted = lease.first_start, False
        end = start + lease.ttl_ns + LATE_NS
        for begin, last, is_restart in sorted(tries + others):
            if begin > min(end, until):
                break
            if min(last, until) > start:
                start, restarted = min(last, until), is_restart
                end = start + lease.ttl_ns + LATE_NS
        return end, start, restarted

    def latest_start(self, lease: Lease, until: int) -> tuple[int, bool]:
        """Return the latest time up to `until` at which the time of `lease` may have started.

        The second value is True if an election or a fault may have started it then (`restarts`).
        It is False if a grant or a keep-alive may have.
        """
        last = lease.last_try(until)
        restart = max(self.restarts(until), default=0)
        return max(last, restart), restart > last
