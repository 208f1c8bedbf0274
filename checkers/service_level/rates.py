"""Computes latencies, shares of answered operations, and recovery times of a history."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.checkers.service_level.periods import fault_periods
from splitbrain.histories.history import FaultWindow, History, Operation


def percentile(ascending: Sequence[int], percent: float) -> int:
    """Return the percentile `percent` of `ascending`, the values in ascending order.

    The result is the smallest value V such that at least `percent` % of the values are at most V
    (nearest-rank method).
    """
    return ascending[max(0, math.ceil(percent / 100 * len(ascending)) - 1)]


def by_latency(operations: Sequence[Operation]) -> list[Operation]:
    """Return the answered operations, the fastest first."""
    return sorted(
        (op for op in operations if op.outcome == "ok" and op.ended is not None), key=latency_ns
    )


def latency_ns(op: Operation) -> int:
    """Return the time from the invocation of `op` to its end."""
    return (op.ended or op.call) - op.call


def share_answered(operations: Sequence[Operation]) -> float:
    """Return the share of `operations` that was answered, from 0 to 1.

    `operations` must not be empty.
    """
    return sum(op.outcome == "ok" for op in operations) / len(operations)


def during_faults(history: History) -> dict[str, list[Operation]]:
    """Return the operations that were invoked during each kind of fault, by kind.

    Operations that were invoked while no fault was active are under "none". The result is empty if
    the history contains no fault.
    """
    if not history.faults:
        return {}
    operations = sorted(history.operations, key=lambda op: op.call)
    calls = [op.call for op in operations]
    kinds: dict[str, list[FaultWindow]] = {}
    for window in history.faults:
        kinds.setdefault(window.f, []).append(window)
    by_kind: dict[str, list[Operation]] = {}
    during_any: set[int] = set()
    for kind in sorted(kinds):
        places: set[int] = set()
        for window in kinds[kind]:
            end = len(calls) if window.end is None else bisect_left(calls, window.end)
            places.update(range(bisect_left(calls, window.begin), end))
        by_kind[kind] = [operations[place] for place in sorted(places)]
        during_any |= places
    by_kind["none"] = [op for place, op in enumerate(operations) if place not in during_any]
    return by_kind


@dataclass(frozen=True, slots=True)
class Recovery:
    """The time from the end of the last active fault to the first answer of the cluster."""

    healed: int
    """The time when the last active fault was healed, in ns."""
    first: Operation | None
    """The operation with the first answer, or None if no answer came by `until`."""
    until: int
    """The start of the next fault or, if there is none, the end of the history, in ns."""

    @property
    def took_ns(self) -> int:
        """Return the time in ns until the first answer, or until `until` if there is no answer."""
        end = self.until if self.first is None or self.first.ret is None else self.first.ret
        return end - self.healed


def recoveries(history: History) -> list[Recovery]:
    """Return the recoveries from faults, one for each time when the last active fault was healed.

    A recovery ends at the next answer to a write or to a linearizable read.
    """
    answers = sorted(
        (op for op in history.operations
         if op.outcome == "ok" and op.ret is not None and must_be_recent(op.request)),
        key=_returned,
    )
    times = [_returned(op) for op in answers]
    last = max((op.ended or op.call for op in history.operations), default=0)
    found = []
    periods = fault_periods(history.faults)
    for number, (_, healed) in enumerate(periods):
        if healed is None:
            continue
        later = periods[number + 1][0] if number + 1 < len(periods) else last
        place = bisect_right(times, healed)
        first = answers[place] if place < len(times) and times[place] <= later else None
        # Without an operation before the next fault there is nothing to measure.
        if first is not None or _pending_between(history, healed, later):
            found.append(Recovery(healed, first, max(healed, later)))
    return found


def _returned(op: Operation) -> int:
    return op.ret if op.ret is not None else 0


def _pending_between(history: History, begin: int, end: int) -> bool:
    return any(op.call < end and (op.ended is None or op.ended > begin)
               for op in history.operations)
