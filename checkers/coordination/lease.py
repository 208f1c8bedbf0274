"""`lease`: keys are deleted with their lease, neither too early nor too late.

The reference is the members' change log. It shows which key was attached to which lease at each
revision. A deletion in the log that no operation requested is the end of a lease.

The log contains no times, but the answers bound the time of each revision
(`coordination/revision_times.py`).

    exists        No answer shows, renews or revokes a lease that was never granted.
    granted       No grant succeeds while a lease with its id certainly exists.
    revoked       After a revocation was acknowledged at revision V, no key is attached to the
                  lease at V or later.
    early         An operation that grants or renews a lease is invoked at time t and answered
                  with a time to live of T. The lease does not end before t + T, unless a
                  revocation was invoked. A jump of a wall clock or a deposed leader is no excuse.
                  With the fault `drift`, clocks run at a wrong rate, and the time is not judged.
    late          The lease and its keys are gone soon after its time has run out. The time T
                  starts at the last operation that may have renewed the lease. It may start again
                  at each change of term, because a new leader of etcd extends each lease by its
                  whole time to live. It may also start again at any time during a fault.
    kept alive    After an answer has shown the end of a lease, no keep-alive of it succeeds.
    puts          No put takes effect with a lease that was never granted, or that has ended.
    time to live  The remaining time in an answer is possible. It is neither longer than the lease
                  can still live, nor shorter than the lease certainly lives. The keys in the answer
                  were attached to the lease.
    another lease Each answer is about the lease of its request. Several keep-alives on one stream
                  are answered in their order, each once (`coordination/keep_alive_streams.py`).
    checkpoints   If leaders record the remaining time of a lease, a leader change does not start
                  its time again (`coordination/lease_checkpoints.py`).

Cost: n log n. Source: etcd's Lease service and its lessor (server/lease/lessor.go). There the
leader's clock decides about renewals, `Promote` extends the leases, and a loop revokes expired
leases every 500 ms.
"""

from __future__ import annotations

from splitbrain.checkers.coordination.keep_alive_streams import check_names
from splitbrain.checkers.coordination.lease_end import (
    check_early,
    check_existence,
    check_granted_again,
    check_late,
    check_revoked,
)
from splitbrain.checkers.coordination.lease_evidence import LeaseEvidence
from splitbrain.checkers.coordination.lease_puts import check_puts
from splitbrain.checkers.coordination.lease_time_to_live import check_answers
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.verdict import Verdict, not_applicable, with_evidence
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseKeepAlive,
    LeaseKeepAliveResult,
    LeaseKeepAlives,
    LeaseRevoke,
    LeaseTimeToLive,
)
from splitbrain.histories.service_operation import ServiceOperation

NAME = "lease"


def check_lease(evidence: Evidence) -> Verdict:
    """Keys are deleted with their lease, neither early nor late; answers about leases are true.

    The checker applies only to histories that contain operations on leases. The verdict is unknown
    if no member's change log begins at the first revision. It is also unknown if a lease was
    granted more than once and then used: renewed, revoked, queried, or attached to a key.
    """
    services = [op for op in evidence.history.services if _is_of_lease(op)]
    if not services:
        return not_applicable(NAME, "the history has no operation on a lease")
    given, found = LeaseEvidence.of(evidence), Findings()
    if given.unknown:
        found.unknown.append(given.unknown)
    again = [
        lease.id for lease in given.leases.by_id.values()
        if len(lease.grants) > 1 and not (lease.only_granted and not given.keys.of(lease.id))
    ]
    if again:
        found.unknown.append(f"{len(again)} leases (first {again[0]}) were granted more than once")
    for lease in given.leases.by_id.values():
        check_granted_again(given, lease, found)
        if len(lease.grants) <= 1:
            check_revoked(given, lease, found)
            check_early(given, lease, found)
            check_late(given, lease, found)
            check_answers(given, lease, found)
    check_names(services, found)
    check_existence(given, found)
    check_puts(given, found)
    verdict = Verdict(
        checker=NAME, valid=found.valid, anomalies=tuple(found.anomalies),
        counts=_counts(given, found), why="; ".join(found.unknown), kinds=found.by_kind,
    )
    succeeded = any(op.outcome == "ok" for op in services)
    return with_evidence(verdict, succeeded, "no operation of a lease succeeded")


def _is_of_lease(op: ServiceOperation) -> bool:
    return isinstance(
        op.request, LeaseGrant | LeaseKeepAlive | LeaseKeepAlives | LeaseRevoke | LeaseTimeToLive
    )


def _counts(given: LeaseEvidence, found: Findings) -> dict[str, int]:
    leases = given.leases.by_id.values()
    return {
        "leases": len(leases),
        "kept alive": sum(
            isinstance(one.operation.result, LeaseKeepAliveResult)
            for lease in leases for one in lease.renewals
        ),
        "revoked": sum(any(op.outcome == "ok" for op in lease.revokes) for lease in leases),
        "ended with keys": len(given.keys.ends),
        "keys on leases": len(given.keys.attachments),
        "leader changes": max(0, len(given.elections) - 1),
        "anomalies": found.count,
    }
