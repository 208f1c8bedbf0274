"""`availability`: the cluster answers again after its faults are healed.

Only the answer to a write or to a linearizable read counts, because such an answer needs a
majority of the members. The checker also counts the outcomes of the operations during each kind of
fault, and measures the time until each member answers again. Cost: n log n.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.model.requests import must_be_recent
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.histories.history import FaultWindow, History, Operation

NAME = "availability"


def check_availability(evidence: Evidence) -> Verdict:
    """The cluster answers again within the bound after the last fault was healed.

    The verdict is unknown if a fault was never healed. It is also unknown if the first answer came
    late only because the clients sent no operation between the end of the bound and the operation
    that was answered.
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
    healed = max((window.end or 0 for window in history.faults), default=0)
    answered = sorted(
        (op for op in history.operations if op.outcome == "ok" and must_be_recent(op.request)),
        key=_returned_at,
    )
    place = bisect_left(answered, healed, key=_returned_at)
    bound_ns = evidence.availability_bound_ms * 1_000_000
    if place == len(answered):
        return _no_answer(history, healed, bound_ns, counts)
    first = answered[place]
    counts["recovered after ms"] = round((_returned_at(first) - healed) / 1e6, 1)
    counts["members answered after ms"] = _by_member(answered[place:], healed)
    if _returned_at(first) - healed <= bound_ns:
        return Verdict(NAME, True, counts=counts)
    if not _unanswered(history, healed + bound_ns, _returned_at(first)):
        why = (
            f"no operation was pending from {wording.seconds(healed + bound_ns)}, "
            f"{bound_ns / 1e9:g} s after the last fault was healed, to "
            f"{wording.seconds(first.call)}"
        )
        return Verdict(NAME, None, counts=counts, why=why)
    because = (
        f"the last fault was healed at {wording.seconds(healed)}; the first answer after that came "
        f"at {wording.seconds(_returned_at(first))}, more than {bound_ns / 1e9:g} s later"
    )
    anomaly = Anomaly("unavailable", because, wording.indexes(first))
    return Verdict(NAME, False, (anomaly,), counts)


def _unanswered(history: History, late: int, until: int | None) -> list[Operation]:
    """Return the operations that show that the cluster did not answer after the time `late`.

    These are the operations that were pending at `late`, and the operations that were invoked
    later, but before `until` (None: no limit), and failed. Times are in ns.
    """
    end = history.end_ns
    return [
        op
        for op in history.operations
        if must_be_recent(op.request)
        and (end if op.ended is None else op.ended) >= late
        and (op.call <= late or (op.outcome != "ok" and (until is None or op.call < until)))
    ]


def _no_answer(
    history: History, healed: int, bound_ns: int, counts: dict[str, Any]
) -> Verdict:
    last = history.end_ns
    unanswered = _unanswered(history, healed + bound_ns, None)
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
    """Return for each member the time in ms from the healing to the member's first answer."""
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
