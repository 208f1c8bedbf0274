"""What a history comes to in numbers: shares answered, latencies, times to recover."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from splitbrain.checkers.model.requests import must_be_recent
from splitbrain.histories.history import FaultWindow, History, Operation


def percentile(ascending: Sequence[int], percent: float) -> int:
    """The smallest value that at least `percent` of all values do not exceed (nearest rank)."""
    return ascending[max(0, math.ceil(percent / 100 * len(ascending)) - 1)]


def by_latency(operations: Sequence[Operation]) -> list[Operation]:
    """The answered ones, the quickest first."""
    return sorted(
        (op for op in operations if op.outcome == "ok" and op.ended is not None), key=latency_ns
    )


def latency_ns(op: Operation) -> int:
    return (op.ended or op.call) - op.call


def share_answered(operations: Sequence[Operation]) -> float:
    """Of what was asked, the share that was answered: 0 to 1. Not of nothing."""
    return sum(op.outcome == "ok" for op in operations) / len(operations)


def during_faults(history: History) -> dict[str, list[Operation]]:
    """What was asked while faults of each kind were in force, and under "none" the rest; {}
    where there were no faults."""
    if not history.faults:
        return {}
    operations = sorted(history.operations, key=lambda op: op.call)
    calls = [op.call for op in operations]
    kinds: dict[str, list[FaultWindow]] = {}
    for window in history.faults:
        kinds.setdefault(window.f, []).append(window)
    asked: dict[str, list[Operation]] = {}
    touched: set[int] = set()
    for kind in sorted(kinds):
        places: set[int] = set()
        for window in kinds[kind]:
            end = len(calls) if window.end is None else bisect_left(calls, window.end)
            places.update(range(bisect_left(calls, window.begin), end))
        asked[kind] = [operations[place] for place in sorted(places)]
        touched |= places
    asked["none"] = [op for place, op in enumerate(operations) if place not in touched]
    return asked


@dataclass(frozen=True, slots=True)
class Recovery:
    """From when no fault was in force any more (`healed`, ns) to the first answer of the
    cluster; `first` is None if none came before the next fault or the end (`until`, ns)."""

    healed: int
    first: Operation | None
    until: int

    @property
    def took_ns(self) -> int:
        end = self.until if self.first is None or self.first.ret is None else self.first.ret
        return end - self.healed


def recoveries(history: History) -> list[Recovery]:
    """One for each time that the last fault in force was healed. An answer of the cluster
    is one to a write, or to a read that must be recent."""
    answers = sorted(
        (op for op in history.operations
         if op.outcome == "ok" and op.ret is not None and must_be_recent(op.request)),
        key=_returned,
    )
    times = [_returned(op) for op in answers]
    last = max((op.ended or op.call for op in history.operations), default=0)
    found = []
    stretches = _stretches(history.faults)
    for number, (_, healed) in enumerate(stretches):
        if healed is None:
            continue
        later = stretches[number + 1][0] if number + 1 < len(stretches) else last
        place = bisect_right(times, healed)
        first = answers[place] if place < len(times) and times[place] <= later else None
        # With nothing asked until the next fault there is nothing to learn.
        if first is not None or _asked_between(history, healed, later):
            found.append(Recovery(healed, first, max(healed, later)))
    return found


def _returned(op: Operation) -> int:
    return op.ret if op.ret is not None else 0


def _asked_between(history: History, begin: int, end: int) -> bool:
    return any(op.call < end and (op.ended is None or op.ended > begin)
               for op in history.operations)


def _stretches(faults: Sequence[FaultWindow]) -> list[tuple[int, int | None]]:
    """The times during which some fault was in force; None for one that never ended."""
    merged: list[tuple[int, int | None]] = []
    for fault in sorted(faults, key=lambda fault: fault.begin):
        if merged and (merged[-1][1] is None or fault.begin <= merged[-1][1]):
            begin, end = merged[-1]
            later = None if end is None or fault.end is None else max(end, fault.end)
            merged[-1] = (begin, later)
        else:
            merged.append((fault.begin, fault.end))
    return merged
