"""Finds the periods of a run with faults, without faults, and with a stalled harness."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from splitbrain.histories.history import FaultWindow, History


class Period(NamedTuple):
    """A period from `begin` to `end`, in ns since the start of the run."""

    begin: int
    end: int


def fault_periods(faults: Sequence[FaultWindow]) -> list[tuple[int, int | None]]:
    """Return the periods (begin, end) with an active fault, in ns.

    Overlapping faults are joined. `end` is None if a fault was never healed.
    """
    merged: list[tuple[int, int | None]] = []
    for fault in sorted(faults, key=lambda fault: fault.begin):
        if merged and (merged[-1][1] is None or fault.begin <= merged[-1][1]):
            begin, end = merged[-1]
            later = None if end is None or fault.end is None else max(end, fault.end)
            merged[-1] = (begin, later)
        else:
            merged.append((fault.begin, fault.end))
    return merged


def fault_free_periods(history: History) -> list[Period]:
    """Return the periods in which no fault is active, in order.

    The last period ends with the last event of the history.
    """
    free: list[Period] = []
    begin: int | None = 0
    for fault_begin, fault_end in fault_periods(history.faults):
        if begin is not None and fault_begin > begin:
            free.append(Period(begin, fault_begin))
        begin = fault_end
    if begin is not None:
        free.append(Period(begin, max(history.end_ns, begin)))
    return free


class Stalls:
    """The periods in which the harness was stalled: its process did not run."""

    def __init__(self, periods: Sequence[tuple[int, int]]) -> None:
        ordered = sorted(periods)
        self._begins = [begin for begin, _ in ordered]
        self._periods = ordered

    def overlap_ns(self, begin: int, end: int) -> int:
        """Return the time between `begin` and `end` in which the harness was stalled."""
        if not self._periods:
            return 0
        place = max(bisect_right(self._begins, begin) - 1, 0)
        total = 0
        for stall_begin, stall_end in self._periods[place:]:
            if stall_begin >= end:
                break
            total += max(min(stall_end, end) - max(stall_begin, begin), 0)
        return total
