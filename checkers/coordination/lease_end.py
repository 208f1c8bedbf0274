"""Judges the ends of leases, for the checker `lease`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.lease_checkpoints import latest_end_with_checkpoints
from splitbrain.checkers.coordination.lease_evidence import LATE_NS, LeaseEvidence
from splitbrain.checkers.coordination.leases_of_history import (
    CLOCK_ERROR_NS,
    Lease,
    S,
    answer,
    is_found,
    is_not_found,
)
from splitbrain.checkers.coordination.revision_times import answered_revision
from splitbrain.checkers.findings import Findings
from splitbrain.histories.lease import LeaseGrant, LeaseRevokeResult
from splitbrain.histories.service_operation import ServiceOperation


def check_existence(given: LeaseEvidence, found: Findings) -> None:
    """Check that no answer shows, renews or revokes a lease that was never granted."""
    for lease in given.leases.by_id.values():
        for op in (*lease.queries, *lease.revokes):
            ended = isinstance(op.result, LeaseRevokeResult)
            if (is_found(op.result) or ended) and not given.leases.may_exist(lease.id, op.ret):
                when = "at any time" if not lease.grants else "before"
                shows = "as ended" if ended else f"with {getattr(op.result, 'ttl', 0)} s to live"
                found.add(
                    "never granted",
                    f"{answer(op)} at {wording.seconds(op.ret or 0)} {shows}, but no operation had "
                    f"granted it {when}", op, *lease.grants[:1],
                )


def check_granted_again(given: LeaseEvidence, lease: Lease, found: Findings) -> None:
    """Check that no grant succeeds while a lease with its id certainly exists."""
    grants = [one for one in lease.renewals if isinstance(one.operation.request, LeaseGrant)]
    for before, again in pairwise(sorted(grants, key=lambda one: one.ended)):
        if (
            again.call <= before.ended or again.ended >= before.lives_until
            or any(op.call <= again.ended for op in lease.revokes)
            or given.clocks_drifted(before.call, again.ended)
        ):
            continue
        found.add(
            "granted again",
            f"{answer(again.operation)} with success, between {wording.seconds(again.call)} and "
            f"{wording.seconds(again.ended)}, although {answer(before.operation)} with "
            f"{before.ttl_ns // S} s to live, invoked at {wording.seconds(before.call)}; no "
            "revocation was invoked", before.operation, again.operation,
        )
        return


def check_revoked(given: LeaseEvidence, lease: Lease, found: Findings) -> None:
    """Check that an acknowledged revocation ends the lease.

    After the revocation, no key is attached to the lease, and no keep-alive succeeds.
    """
    acknowledged = [op for op in lease.revokes if isinstance(op.result, LeaseRevokeResult)]
    if not acknowledged:
        return
    revoke = min(acknowledged, key=answered_revision)
    revision = answered_revision(revoke)
    for one in given.keys.of(lease.id):
        if one.first <= revision and (one.end is None or one.end > revision):
            until = "to the end" if one.end is None else f"until revision {one.end}"
            found.add(
                "attached after revocation",
                f"{one.key} was attached to lease {lease.id} from revision {one.first} on, "
                f"{until}; the lease was revoked at revision {revision}: {answer(revoke)} "
                f"at {wording.seconds(revoke.ret or 0)}", revoke, revision=revision,
            )
    first = min(acknowledged, key=lambda op: op.ret or 0)
    for renewal in lease.renewals:
        if first.ret is not None and renewal.call > first.ret:
            found.add(
                "kept alive after its end",
                f"{answer(renewal.operation)} with {renewal.ttl_ns // S} s to live, invoked "
                f"at {wording.seconds(renewal.call)}, although {answer(first)} at "
                f"{wording.seconds(first.ret)}", renewal.operation, first,
            )
            return


def check_early(given: LeaseEvidence, lease: Lease, found: Findings) -> None:
    """Check that no lease ends before its time to live, unless its revocation was invoked."""
    for seen, how, witness, revision in seen_ended(given, lease):
        if any(op.call <= seen for op in lease.revokes):
            continue
        for renewal in lease.renewals:
            if renewal.operation is witness or seen >= renewal.lives_until:
                continue
            if renewal.call <= seen and given.clocks_drifted(renewal.call, seen):
                continue
            ended_before = seen < renewal.call
            kind = "kept alive after its end" if ended_before else "ended early"
            ops = (renewal.operation, *([witness] if witness is not None else ()))
            left = (renewal.lives_until + CLOCK_ERROR_NS - seen) / S
            found.add(
                kind,
                f"lease {lease.id} had ended by {wording.seconds(seen)}, {how}, but "
                f"{answer(renewal.operation)} with {renewal.ttl_ns // S} s to live, invoked "
                f"at {wording.seconds(renewal.call)}"
                + ("" if ended_before else f", {left:.3f} s too early; no revocation was invoked")
                + _terms_between(given, renewal.call, seen),
                *ops, revision=revision,
            )
            break


def seen_ended(
    given: LeaseEvidence, lease: Lease
) -> Iterator[tuple[int, str, ServiceOperation | None, int]]:
    """Yield times at which the lease had certainly ended: (time, reason, operation, revision).

    The reason is in words. The operation is the one whose answer shows the end, or None if the
    change log shows it. The revision is that of the answer or of the change log.
    """
    if lease.id in given.keys.ends:
        revision, keys = given.keys.ends[lease.id]
        before = given.clock.made_before(revision)
        if before is not None:
            why = f"because {', '.join(keys[:3])} was deleted with it at revision {revision}"
            yield before, why, None, revision
    granted = lease.granted
    if granted is None:
        return
    for op in lease.queries:
        if op.call > granted.ended and op.ret is not None and is_not_found(op.result):
            yield op.ret, f"because {answer(op)}: not found", op, answered_revision(op)
            return


def _terms_between(given: LeaseEvidence, begin: int, end: int) -> str:
    later = [one for one in given.elections if begin < one.by <= end]
    if not later:
        return ""
    return f"; term {later[-1].term} began by {wording.seconds(later[-1].by)}"


def check_late(given: LeaseEvidence, lease: Lease, found: Findings) -> None:
    """Check that a lease and its keys are gone soon after the lease's latest possible end.

    Nothing is judged if the answers contain no terms, because leader changes are then unknown.
    """
    if not lease.grants or not lease.ttl_ns or not given.elections:
        return
    for alive, shown, op, revision in _seen_alive(given, lease):
        due, start, restarted = given.latest_end(lease, alive)
        kind = "ended late"
        recorded = latest_end_with_checkpoints(given, lease, alive)
        if recorded is not None and recorded.end + LATE_NS < due:
            kind = "time started again"
            due, since = recorded.end + LATE_NS, f"; {recorded.because}"
        elif restarted:
            since = f", whose time started again at {wording.seconds(start)} at the latest"
        else:
            since = f", which was last kept alive at {wording.seconds(start)}"
        if alive > due:
            found.add(
                kind,
                f"{shown} at {wording.seconds(alive)}, {(alive - due) / S:.1f} s after it should "
                f"have ended: lease {lease.id} of {lease.ttl_ns // S} s{since}",
                *lease.grants, *([op] if op is not None else ()), revision=revision,
            )
            return


def _seen_alive(
    given: LeaseEvidence, lease: Lease
) -> Iterator[tuple[int, str, ServiceOperation | None, int]]:
    """Yield times at which the lease certainly existed: (time, reason, operation, revision).

    The reason is in words. The operation is the one whose answer shows the lease, or None if the
    change log shows it. The revision is the one at which the lease was seen.
    """
    for one in given.keys.of(lease.id):
        began = given.clock.made_before(one.first)
        alive = given.clock.last if one.end is None else given.clock.not_made_at(one.end)
        if began is not None and began <= alive:
            yield alive, f"{one.key} existed", None, one.first
    for op in lease.queries:
        if is_found(op.result):
            yield op.call, f"{answer(op)}, which existed", op, answered_revision(op)
