"""`statistics`: how long operations took, by function and outcome. Never invalid."""

from __future__ import annotations

import math
from typing import Any

from checkers.evidence import Evidence
from checkers.verdict import Verdict

NAME = "statistics"
PERCENTILES = (50.0, 95.0, 99.0, 99.9)


def check_statistics(evidence: Evidence) -> Verdict:
    """Latencies by function and outcome: counts and percentiles in ms; never invalid."""
    latencies: dict[tuple[str, str], list[int]] = {}
    for op in evidence.history.operations:
        if op.ended is not None:
            latencies.setdefault((op.f, op.outcome), []).append(op.ended - op.call)
    counts: dict[str, Any] = {}
    for f, outcome in sorted(latencies):
        counts[f"{f} {outcome}"] = _row(sorted(latencies[f, outcome]))
    return Verdict(NAME, True, counts=counts)


def _row(ascending: list[int]) -> dict[str, float]:
    row: dict[str, float] = {"count": len(ascending)}
    for percent in PERCENTILES:
        row[f"p{percent:g} ms"] = round(percentile(ascending, percent) / 1e6, 3)
    row["max ms"] = round(ascending[-1] / 1e6, 3)
    return row


def percentile(ascending: list[int], percent: float) -> int:
    """The smallest value that at least `percent` of all values do not exceed (nearest rank)."""
    return ascending[max(0, math.ceil(percent / 100 * len(ascending)) - 1)]
