"""`availability`: the store serves when no fault is in force.

- **Recovery**: the cluster answers within the bound after the last fault was healed.
- **The end**: after the last fault was healed, each member that must serve at the end
  (`Evidence.serving`) has answered a write and a linearizable read.
- **Silence**: without an active fault, no member leaves writes or linearizable reads unanswered
  for longer than the bound.
- **Poor service**: without an active fault, the requests to a member do not keep failing, and do
  not keep taking seconds (`poor_service.py`).

Only operations that need the whole cluster are judged: writes and linearizable reads. The time in
which the harness itself was stalled does not count against the store. The checker also counts the
outcomes of the operations during each kind of fault, and measures the time until each member
answers again. Cost: n log n.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.checkers.service_level.attempts import (
    KINDS,
    PATIENCE_NS,
    Attempt,
    Route,
    attempts_by_route,
    by_period,
    errors_of,
)
from splitbrain.checkers.service_level.periods import Period, Stalls, fault_free_periods
from splitbrain.checkers.service_level.poor_service import SLOW_NS, Quality, quality
from splitbrain.checkers.service_level.silence import Silence, silences
from splitbrain.checkers.verdict import Anomaly, Verdict, merge
from splitbrain.histories.history import FaultWindow, History, Operation

NAME = "availability"


def check_availability(evidence: Evidence) -> Verdict:
    """Check recovery, the end, silences and poor service, as the module's docstring describes.

    The verdict is unknown if a fault was never healed, or if the history cannot show whether a rule
    is satisfied. An example is that no write was sent to a member after the last fault.
    """
    history = evidence.history
    counts: dict[str, Any] = {"outcomes": _outcomes(history.operations)}
    if history.faults:
        counts["during"] = _during_faults(history)
    if not history.operations:
        return Verdict(NAME, None, counts=counts, why="the history contains no operation")
    unhealed = [window for window in history.faults if window.end is None]
    if unhealed:
        names = ", ".join(f"{window.f} (fault {window.fault})" for window in unhealed[:5])
        return Verdict(NAME, None, counts=counts, why=f"never healed: {names}")
    stalls = Stalls(evidence.stalls)
    if stalled_ns := stalls.overlap_ns(0, history.end_ns):
        counts["harness stalled ms"] = round(stalled_ns / 1e6)
    anomalies: tuple[Anomaly, ...] = ()
    unknown: list[str] = []
    if history.faults:
        recovery = _recovery(evidence, stalls, counts)
        anomalies, unknown = recovery.anomalies, [recovery.why] if recovery.why else []
    findings = Findings()
    _check_routes(evidence, stalls, findings)
    if not any(op.outcome == "ok" and must_be_recent(op.request) for op in history.operations):
        unknown.append("no write and no linearizable read was answered")
    anomalies = (*findings.anomalies, *anomalies)
    why = "; ".join((*unknown, *findings.unknown))
    valid = merge((not anomalies, None if why else True))
    return Verdict(NAME, valid, anomalies, counts, why=why)


# --- every route: a kind of operation through a member --------------------------------------


def _check_routes(evidence: Evidence, stalls: Stalls, findings: Findings) -> None:
    by_route = attempts_by_route(evidence.history)
    bound_ns = evidence.availability_bound_ms * 1_000_000
    free = fault_free_periods(evidence.history)
    silent: set[Route] = set()
    at_the_end: dict[Route, Sequence[Attempt]] = {}
    for route, all_attempts in by_route.items():
        if route.member in evidence.excused:
            continue
        for period, attempts in zip(free, by_period(all_attempts, free), strict=True):
            at_the_end[route] = attempts
            for one in silences(attempts, period, bound_ns):
                if one.end - one.begin - stalls.overlap_ns(one.begin, one.end) > bound_ns:
                    silent.add(route)
                    _add_silence(findings, route, one, bound_ns)
            found = quality(attempts, period, stalls, bound_ns)
            if found.is_poor and route not in silent:
                _add_poor_service(findings, route, found, period)
    last = free[-1]
    for member in evidence.serving:
        for kind in KINDS:
            route = Route(member, kind)
            if route not in silent:
                _check_end(findings, route, at_the_end.get(route, ()), last)


def _add_silence(findings: Findings, route: Route, one: Silence, bound_ns: int) -> None:
    failed = [attempt for attempt in one.attempts if not attempt.served]
    errors = errors_of(failed)
    because = (
        f"no {route} was answered from {wording.seconds(one.begin)} to {wording.seconds(one.end)}, "
        f"while no fault was in force; the bound is {bound_ns / 1e9:g} s. "
        f"{len(failed)} of {len(one.attempts)} attempts failed" + (f": {errors}" if errors else "")
    )
    shown = (failed or list(one.attempts))[-3:]
    findings.add(
        "unavailable", because, *(attempt.op for attempt in shown), members=_members(route)
    )


def _add_poor_service(
    findings: Findings, route: Route, found: Quality, period: Period
) -> None:
    failed = [one for one in found.attempts if not one.served]
    slowest = max(found.attempts, key=lambda one: one.end - one.begin)
    errors = errors_of(failed)
    because = (
        f"from {wording.seconds(period.begin)} to {wording.seconds(period.end)}, while no fault "
        f"was in force, {len(failed)} of {len(found.attempts)} attempts of a {route} failed"
        + (f" ({errors})" if errors else "")
        + f", and {len(found.slow)} took longer than {SLOW_NS / 1e9:g} s (the slowest "
        f"{wording.seconds(slowest.end - slowest.begin)}); they are spread over "
        f"{found.poor_parts} of {found.parts} parts of the time"
    )
    shown = (failed or [slowest])[:3]
    findings.add("poor service", because, *(one.op for one in shown), members=_members(route))


def _members(route: Route) -> tuple[str, ...]:
    return (route.member,) if route.member else ()


def _check_end(
    findings: Findings, route: Route, attempts: Sequence[Attempt], last: Period
) -> None:
    """Note why it is unknown whether the member served at the end of the run.

    `route` is the member and the kind of operation, `attempts` are the operations in `last`, the
    last period without faults. If the member was silent for longer than the bound, this was
    reported before.
    """
    since = wording.seconds(last.begin)
    if not attempts:
        findings.unknown.append(f"no {route} was tried after {since}")
        return
    if not any(one.op.outcome == "ok" for one in attempts):
        findings.unknown.append(
            f"no {route} succeeded after {since} ({errors_of(attempts) or 'all were refused'}), "
            "for less than the bound"
        )
    elif any(one.is_last for one in silences(attempts, last)):
        findings.unknown.append(
            f"the last {route} failed ({errors_of(attempts[-1:]) or 'it was not answered'}), "
            "for less than the bound"
        )


# --- recovery ----------------------------------------------------------------------------------


def _recovery(evidence: Evidence, stalls: Stalls, counts: dict[str, Any]) -> Verdict:
    """Check that the cluster answers within the bound after the last fault was healed.

    The times until the answers are added to `counts`. If the first answer comes after the bound,
    but no client kept asking after the bound (`_kept_asking`), the verdict is unknown.
    """
    history = evidence.history
    healed = max(window.end or 0 for window in history.faults)
    answered = sorted(
        (op for op in history.operations if op.outcome == "ok" and must_be_recent(op.request)),
        key=_returned_at,
    )
    place = bisect_left(answered, healed, key=_returned_at)
    bound_ns = evidence.availability_bound_ms * 1_000_000
    # Stalls of the harness delay the end of the bound.
    bound_ns += stalls.overlap_ns(healed, history.end_ns)
    if place == len(answered):
        return _no_answer(evidence, healed, bound_ns, counts)
    first = answered[place]
    counts["recovered after ms"] = round((_returned_at(first) - healed) / 1e6, 1)
    counts["members answered after ms"] = _by_member(answered[place:], healed)
    if _returned_at(first) - healed <= bound_ns:
        return Verdict(NAME, True, counts=counts)
    if not _kept_asking(evidence, healed + bound_ns, first):
        why = (
            f"no operation was pending from {wording.seconds(healed + bound_ns)}, "
            f"{bound_ns / 1e9:g} s after the last fault was healed, until shortly before the "
            f"answer at {wording.seconds(_returned_at(first))}"
        )
        return Verdict(NAME, None, counts=counts, why=why)
    because = (
        f"the last fault was healed at {wording.seconds(healed)}; the first answer after that came "
        f"at {wording.seconds(_returned_at(first))}, more than {bound_ns / 1e9:g} s later"
    )
    anomaly = Anomaly("unavailable", because, wording.indexes(first))
    return Verdict(NAME, False, (anomaly,), counts)


def _kept_asking(evidence: Evidence, late: int, first: Operation) -> bool:
    """Return whether clients tried in vain from the time `late` on until `first` was answered.

    An operation shows this if it was pending at `late`, or if it was invoked at least PATIENCE_NS
    before the answer. An operation that was invoked later shows nothing about the time before it.
    """
    asked = _unanswered(evidence, late, _returned_at(first))
    return any(
        op.call <= late or _returned_at(first) - op.call >= PATIENCE_NS for op in asked
    )


def _unanswered(evidence: Evidence, late: int, until: int | None) -> list[Operation]:
    """Return the operations that show that the cluster did not answer from the time `late` on.

    These are the operations that were pending at `late`, and those that were invoked later and did
    not succeed. Three kinds of operations are left out:

    - operations that succeeded within `PATIENCE_NS`, because they were not kept waiting
    - operations that were invoked at `until` or later, if `until` is given
    - operations at members in `Evidence.excused`

    `late` and `until` are times in the history, in ns.
    """
    history = evidence.history
    end = history.end_ns
    return [
        op
        for op in history.operations
        if must_be_recent(op.request)
        and op.node not in evidence.excused
        and (end if op.ended is None else op.ended) >= late
        and not (op.outcome == "ok" and _returned_at(op) - op.call < PATIENCE_NS)
        and (op.call <= late or (op.outcome != "ok" and (until is None or op.call < until)))
    ]


def _no_answer(
    evidence: Evidence, healed: int, bound_ns: int, counts: dict[str, Any]
) -> Verdict:
    history = evidence.history
    last = history.end_ns
    unanswered = _unanswered(evidence, healed + bound_ns, None)
    if not unanswered:
        why = (
            f"no operation was answered after {wording.seconds(healed)}, and none was pending when "
            f"the bound of {bound_ns / 1e9:g} s ended; the history ends at {wording.seconds(last)}"
        )
        return Verdict(NAME, None, counts=counts, why=why)
    because = (
        f"no operation was answered from {wording.seconds(healed)}, when the last fault was "
        f"healed, to the end at {wording.seconds(last)}; the bound is {bound_ns / 1e9:g} s"
    )
    anomaly = Anomaly("unavailable", because, wording.indexes(*unanswered[-3:]))
    return Verdict(NAME, False, (anomaly,), counts)


def _by_member(answered: Sequence[Operation], healed: int) -> dict[str, float]:
    """Return for each member the time in ms from `healed` (in ns) to the member's first answer.

    `answered` contains the operations that were answered after `healed`, in the order of their
    answers.
    """
    found: dict[str, float] = {}
    for op in answered:
        if op.node is not None and op.node not in found:
            found[op.node] = round((_returned_at(op) - healed) / 1e6, 1)
    return dict(sorted(found.items()))


def _during_faults(history: History) -> dict[str, dict[str, int]]:
    """Return the outcomes of operations by the kind of fault that was active at their invocation.

    The outcomes of all other operations are under "no fault".
    """
    operations = sorted(history.operations, key=lambda op: op.call)
    calls = [op.call for op in operations]
    kinds: dict[str, list[FaultWindow]] = {}
    for window in history.faults:
        kinds.setdefault(window.f, []).append(window)
    table: dict[str, dict[str, int]] = {}
    during_any: set[int] = set()
    for kind in sorted(kinds):
        places: set[int] = set()
        for window in kinds[kind]:
            end = len(calls) if window.end is None else bisect_left(calls, window.end)
            places.update(range(bisect_left(calls, window.begin), end))
        table[kind] = _outcomes([operations[place] for place in sorted(places)])
        during_any |= places
    without_fault = [op for place, op in enumerate(operations) if place not in during_any]
    table["no fault"] = _outcomes(without_fault)
    return table


def _outcomes(operations: Sequence[Operation]) -> dict[str, int]:
    count = Counter(op.outcome for op in operations)
    return {"ok": count["ok"], "fail": count["fail"], "info": count["info"]}


def _returned_at(op: Operation) -> int:
    return op.ret if op.ret is not None else 0
