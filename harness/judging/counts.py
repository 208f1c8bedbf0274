"""Counts the operations of a history by function, and during each fault."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from splitbrain.checkers.evidence import Evidence
from splitbrain.harness.drive.tally import OUTCOMES
from splitbrain.harness.store.records import FaultCount
from splitbrain.histories.history import History, Operation
from splitbrain.histories.service import ServiceOperation


def by_function(history: History) -> dict[str, dict[str, int]]:
    """f → outcome → how many, and "all" over all of them, the most frequent f first."""
    counts: dict[str, Counter[str]] = {}
    everything: list[Operation | ServiceOperation] = [*history.operations, *history.services]
    for operation in everything:
        counts.setdefault(operation.f, Counter())[operation.outcome] += 1
    rows = sorted(counts.items(), key=lambda row: (-row[1].total(), row[0]))
    total: Counter[str] = sum((count for _, count in rows), Counter())
    return {"all": _row(total), **{f: _row(count) for f, count in rows}}


def by_fault(evidence: Evidence) -> tuple[FaultCount, ...]:
    """How the operations fared that were invoked while each fault was in force."""
    operations = sorted(evidence.history.operations, key=lambda operation: operation.call)
    calls = [operation.call for operation in operations]
    counts = []
    for window in evidence.history.faults:
        first = bisect_left(calls, window.begin)
        last = len(calls) if window.end is None else bisect_left(calls, window.end)
        counts.append(FaultCount(
            window.fault, window.f, window.members, window.begin, window.end,
            _outcomes(operations[first:last]), window.failed,
        ))
    return tuple(counts)


def _outcomes(operations: Iterable[Operation]) -> dict[str, int]:
    return _row(Counter(operation.outcome for operation in operations))


def _row(count: Counter[str]) -> dict[str, int]:
    return {outcome: count[outcome] for outcome in OUTCOMES}

