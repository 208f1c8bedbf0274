"""Computes the latest end of a lease if leaders record how much time the lease has left.

Without such records (checkpoints), a new leader extends each lease by its whole time to live, so a
lease may live forever. With checkpoints, a leader records the remaining time of each lease through
Raft, at a fixed interval. The first interval begins when the leader begins to lead or, if this is
later, at the grant. A new leader extends the lease only by the time that was recorded last.

A lease is judged only if all these conditions are satisfied:

- The lease is longer than the interval. Shorter leases are not recorded.
- It was never kept alive. A keep-alive deletes the record, and in etcd no new one follows until the
  next leader change.
- Since the grant there were only faults that slow the members down: pauses, partitions, slow links,
  and the adverse conditions of a simulated run. If the records are durable, kills and power losses
  are also permitted. After any other fault, a member may have forgotten the records or measured the
  time wrongly.
- The answers contain the terms.

Source: etcd, server/lease/lessor.go (`scheduleCheckpointIfNeeded`, `Promote`); pull requests 9924
and 13508.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.lease_evidence import LATE_NS, LeaseEvidence
from splitbrain.checkers.coordination.leases_of_history import Lease, S
from splitbrain.histories.fault_window import FaultWindow

WITHOUT_RESTART = frozenset(("pause", "partition", "latency", "adverse_conditions"))
"""Faults after which a member still has the content of its memory."""
WITH_RESTART = frozenset(("kill", "power"))
"""Faults after which a member has the content of its disk."""


@dataclass(frozen=True, slots=True)
class LatestEnd:
    """The latest time at which a lease can have ended, and the reason in words."""

    end: int
    because: str


def latest_end_with_checkpoints(
    given: LeaseEvidence, lease: Lease, until: int
) -> LatestEnd | None:
    """Return the latest time at which `lease` can have ended, given the elections up to `until`.

    Returns None if the recorded times give no bound, as described at the top of this module.
    """
    interval = given.checkpoint_s * S
    granted = lease.granted
    if (
        not interval or granted is None or granted.ttl_ns <= interval or len(lease.tries) > 1
        or not given.elections
        or any(_forgets(given, fault) for fault in given.faults_between(granted.call, until))
    ):
        return None
    result = granted.operation.result
    term = result.header.raft_term if result is not None else 0
    left = granted.ttl_ns
    start = granted.ended
    changes = 0
    for election in given.elections:
        if election.term <= term or election.by <= granted.call or election.after >= until:
            continue
        # This leader began to lead at `start` or before, and led until `election.after` or longer.
        led = max(0, election.after - start - LATE_NS)
        # A leader records nothing more when at most one interval is left.
        surely_left = max(0, granted.call + granted.ttl_ns - start)
        most = max(0, math.ceil(surely_left / interval) - 1)
        left -= min(led // interval, most) * interval
        left += LATE_NS
        start = min(election.by, until)
        changes += 1
    if not changes:
        return None
    return LatestEnd(
        start + left,
        f"the remaining time is recorded every {given.checkpoint_s} s, so that at most "
        f"{left / S:.0f} s were left at {wording.seconds(start)}, after {changes} leader "
        f"change{'s' * (changes != 1)}",
    )


def _forgets(given: LeaseEvidence, fault: FaultWindow) -> bool:
    harmless = WITHOUT_RESTART | (WITH_RESTART if given.checkpoints_persist else frozenset())
    return fault.f not in harmless
