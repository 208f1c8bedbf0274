"""Counts the operations of a history by function, and during each fault."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from splitbrain.checkers.evidence import Evidence
from splitbrain.harness.drive.operation_counts import OUTCOMES
from splitbrain.harness.store.records import FaultCount
from splitbrain.histories.history import History, Operation
from splitbrain.histories.service_operation import ServiceOperation


def by_function(history: History) -> dict[str, dict[str, int]]:
    """Return the number of operations by function `f` and by outcome.

    The most frequent function comes first. The entry "all" contains the sums.
    """
    counts: dict[str, Counter[str]] = {}
    everything: list[Operation | ServiceOperation] = [*history.operations, *history.services]
    for operation in everything:
        counts.setdefault(operation.f, Counter())[operation.outcome] += 1
    rows = sorted(counts.items(), key=lambda row: (-row[1].total(), row[0]))
    total: Counter[str] = sum((count for _, count in rows), Counter())
    return {"all": _row(total), **{f: _row(count) for f, count in rows}}


def by_fault(evidence: Evidence) -> tuple[FaultCount, ...]:
    """Return each fault, with the outcomes of the operations invoked while it was active."""
    operations = sorted(evidence.history.operations, key=lambda operation: operation.call)
    calls = [operation.call for operation in operations]
    counts = []
    for window in evidence.history.faults:
        first = bisect_left(calls, window.begin)
        last = len(calls) if window.end is None else bisect_left(calls, window.end)
        counts.append(FaultCount(
            fault=window.fault, f=window.f, members=window.members, begin=window.begin,
            end=window.end, outcomes=_outcomes(operations[first:last]), failed=window.failed,
            effect=window.effect,
        ))
    return tuple(counts)


def _outcomes(operations: Iterable[Operation]) -> dict[str, int]:
    return _row(Counter(operation.outcome for operation in operations))


def _row(count: Counter[str]) -> dict[str, int]:
    return {outcome: count[outcome] for outcome in OUTCOMES}
