"""Judges the answers to time-to-live requests, for the checker `lease`."""

from __future__ import annotations

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.lease_checkpoints import latest_end_with_checkpoints
from splitbrain.checkers.coordination.lease_evidence import LATE_NS, LeaseEvidence
from splitbrain.checkers.coordination.lease_keys import Attachment
from splitbrain.checkers.coordination.leases_of_history import (
    CLOCK_ERROR_NS,
    Lease,
    S,
    answer,
    is_not_found,
)
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.request_parts import parts
from splitbrain.histories.kv import Put
from splitbrain.histories.lease import (
    LeaseGrantResult,
    LeaseKeepAliveResult,
    LeaseTimeToLive,
    LeaseTimeToLiveResult,
)
from splitbrain.histories.service_operation import ServiceOperation


def check_answers(given: LeaseEvidence, lease: Lease, found: Findings) -> None:
    """Check the times and the keys in all answers about `lease`."""
    _check_granted(lease, found)
    for op in lease.queries:
        result = op.result
        if not isinstance(result, LeaseTimeToLiveResult) or is_not_found(result):
            continue
        if op.ret is not None and lease.grants:
            _check_not_less(given, lease, op, result, found)
            _check_not_more(given, lease, op, result, found)
            _check_keys(given, lease, op, result, found)


def _check_granted(lease: Lease, found: Findings) -> None:
    """Check that each answer shows the time to live for which the lease was granted."""
    grant = lease.granted
    if grant is None or not isinstance(grant.operation.result, LeaseGrantResult):
        return
    granted = grant.operation.result.ttl
    for op in lease.queries:
        shown = granted
        if isinstance(op.result, LeaseKeepAliveResult) and op.result.ttl > 0:
            shown = op.result.ttl
        elif isinstance(op.result, LeaseTimeToLiveResult) and op.result.granted_ttl:
            shown = op.result.granted_ttl
        if shown != granted:
            found.add(
                "wrong time to live",
                f"{answer(op)} at {wording.seconds(op.ret or 0)} with a time to live of {shown} s; "
                f"expected {granted} s, for which it was granted", op, grant.operation,
            )


def _check_not_less(
    given: LeaseEvidence, lease: Lease, op: ServiceOperation, result: LeaseTimeToLiveResult,
    found: Findings,
) -> None:
    assert op.ret is not None
    sure = [one for one in lease.renewals if one.ended <= op.call]
    last = max(sure, key=lambda one: one.lives_until, default=None)
    if last is None or lease.revokes or given.clocks_drifted(last.call, op.ret):
        return
    if result.ttl + 1 < (last.lives_until - op.ret) / S:
        found.add(
            "wrong time to live",
            f"{answer(op)} at {wording.seconds(op.ret)} with {result.ttl} s to live; expected at "
            f"least {(last.lives_until - op.ret) / S:.1f} s, because {answer(last.operation)} "
            f"with {last.ttl_ns // S} s to live, invoked at {wording.seconds(last.call)}",
            op, last.operation,
        )


def _check_not_more(
    given: LeaseEvidence, lease: Lease, op: ServiceOperation, result: LeaseTimeToLiveResult,
    found: Findings,
) -> None:
    """Check that the time to live in an answer is at most the longest time that can remain.

    The time of the lease may start again at a leader change. If the answers contain no terms,
    leader changes are unknown, and the answer is compared only with the granted time.
    """
    assert op.ret is not None
    shown = f"{answer(op)} at {wording.seconds(op.ret)} with {result.ttl} s to live"
    if result.ttl * S > lease.ttl_ns + LATE_NS:
        found.add(
            "wrong time to live",
            f"{shown}, but it was granted for {lease.ttl_ns // S} s", op, *lease.grants,
        )
        return
    if not given.elections or lease.uncertain:
        return
    start, restarted = given.latest_start(lease, op.ret)
    end = start + lease.ttl_ns + (LATE_NS if restarted else S)
    since = (
        "because no leader changed since it was last granted or kept alive, at "
        f"{wording.seconds(start)}"
    )
    recorded = latest_end_with_checkpoints(given, lease, op.ret)
    if recorded is not None and recorded.end + LATE_NS < end:
        end, since = recorded.end + LATE_NS, f"because {recorded.because}"
    most = end - op.call + CLOCK_ERROR_NS
    if result.ttl * S > most:
        found.add(
            "time started again",
            f"{shown}, of {lease.ttl_ns // S} s; expected at most {max(0, most) / S:.1f} s, "
            f"{since}", op, *lease.grants,
        )


# --- keys


def _check_keys(
    given: LeaseEvidence, lease: Lease, op: ServiceOperation, result: LeaseTimeToLiveResult,
    found: Findings,
) -> None:
    """Check that the keys in the answer are those that were attached to the lease."""
    assert op.ret is not None
    assert isinstance(op.request, LeaseTimeToLive)
    shown = f"{answer(op)} at {wording.seconds(op.ret)} with the keys [{', '.join(result.keys)}]"
    possible = _possible_keys(given, lease)
    foreign = [
        key for key in result.keys
        if key not in possible and key.rpartition("/")[0] not in given.queues
    ]
    if foreign:
        found.add(
            "wrong keys",
            f"{shown}; {', '.join(foreign[:3])} was never attached to that lease", op,
        )
    elif given.changes is not None and op.request.keys:
        _check_present_keys(given, lease, op, result, shown, found)


def _possible_keys(given: LeaseEvidence, lease: Lease) -> set[str]:
    """Return the keys that were attached to `lease` at some time, from the change log.

    Without a change log, return the keys that puts in the history may have attached to the lease.
    """
    if given.changes is not None:
        return {one.key for one in given.keys.of(lease.id)}
    return {
        part.key
        for op in given.history.operations if op.outcome != "fail"
        for part in parts(op.request) if isinstance(part, Put) and part.lease == lease.id
    }


def _check_present_keys(
    given: LeaseEvidence, lease: Lease, op: ServiceOperation, result: LeaseTimeToLiveResult,
    shown: str, found: Findings,
) -> None:
    """Check that the answer contains the keys that were attached, and no key that was detached.

    `shown` is the beginning of the message, which describes the answer. A late member or a deposed
    leader may answer from an earlier state. Keys that were attached or detached less than LATE_NS
    before the request are therefore not judged. Nothing is judged if a fault was in force at any
    time between LATE_NS before the request and the answer.
    """
    assert op.ret is not None
    if given.faults_between(op.call - LATE_NS, op.ret):
        return
    by_key: dict[str, list[Attachment]] = {}
    for one in given.keys.of(lease.id):
        by_key.setdefault(one.key, []).append(one)
    for key, attached in by_key.items():
        began = [given.clock.made_before(one.first) for one in attached]
        ended = [
            None if one.end is None else given.clock.made_before(one.end) for one in attached
        ]
        early = op.call - LATE_NS
        whole = [
            one for one, begin in zip(attached, began, strict=True)
            if begin is not None and begin < early
            and (one.end is None or given.clock.not_made_at(one.end) > op.ret)
        ]
        if whole and key not in result.keys:
            found.add(
                "wrong keys",
                f"{shown}; {key} is missing, which was attached from revision {whole[0].first} on",
                op, revision=whole[0].first,
            )
        elif key in result.keys and all(end is not None and end < early for end in ended):
            found.add(
                "wrong keys",
                f"{shown}; {key} was attached only until revision {attached[-1].end}",
                op, revision=attached[-1].end or 0,
            )
