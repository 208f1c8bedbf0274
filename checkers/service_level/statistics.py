"""`statistics`: measures latencies, shares of answered operations and recovery times.

The verdict is always valid. Cost: n log n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.service_level.rates import (
    by_latency,
    during_faults,
    latency_ns,
    percentile,
    recoveries,
    share_answered,
)
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.history import Operation

NAME = "statistics"
PERCENTILES = (50.0, 95.0, 99.0, 99.9)


def check_statistics(evidence: Evidence) -> Verdict:
    """Measures latencies, shares of answered operations, and recovery times; never invalid."""
    history = evidence.history
    latencies: dict[tuple[str, str], list[int]] = {}
    for op in history.operations:
        if op.ended is not None:
            latencies.setdefault((op.f, op.outcome), []).append(op.ended - op.call)
    counts: dict[str, Any] = {}
    for f, outcome in sorted(latencies):
        counts[f"{f} {outcome}"] = _row(sorted(latencies[f, outcome]))
    for kind, operations in during_faults(history).items():
        if operations:
            name = f"while {kind}" if kind != "none" else "while no fault"
            counts[name] = _fault_row(operations)
    found = [recovery.took_ns / 1e6 for recovery in recoveries(history)]
    if found:
        counts["recovered after ms"] = {
            "times": len(found), "least": round(min(found), 3), "most": round(max(found), 3),
        }
    return Verdict(NAME, True, counts=counts)


def _row(ascending: list[int]) -> dict[str, float]:
    row: dict[str, float] = {"count": len(ascending)}
    for percent in PERCENTILES:
        row[f"p{percent:g} ms"] = round(percentile(ascending, percent) / 1e6, 3)
    row["max ms"] = round(ascending[-1] / 1e6, 3)
    return row


def _fault_row(operations: Sequence[Operation]) -> dict[str, float | None]:
    """Return the share of `operations` that was answered, and their latencies, by name.

    The latencies are None if no operation was answered.
    """
    answered = [latency_ns(op) for op in by_latency(operations)]
    row: dict[str, float | None] = {
        "asked": len(operations), "answered %": round(100 * share_answered(operations), 2),
    }
    for percent in (50.0, 99.0):
        row[f"p{percent:g} ms"] = (
            round(percentile(answered, percent) / 1e6, 3) if answered else None
        )
    return row
