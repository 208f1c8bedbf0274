"""Computes trends: how verdicts, rate and latency change over days, versions or commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Literal

import msgspec

from splitbrain.harness.store.database.query import Filter

DAY_S = 86_400
By = Literal["day", "version", "commit"]
_COLUMNS: dict[By, str] = {
    "day": "strftime('%Y-%m-%d', day * 86400, 'unixepoch')",
    "version": "version",
    "commit": "commit_id",
}


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """The number of runs of one day, version or commit, by verdict, and means over these runs.

    A mean is None if no run has the value.
    """

    name: str
    first: int
    """The time at which the first of the runs started, in seconds since 1970."""
    runs: int
    valid: int
    invalid: int
    unknown: int
    rate: float | None
    """The mean of the runs' answered operations per second."""
    p50_ms: float | None
    """The mean of the runs' median latencies, in ms."""
    p99_ms: float | None


def trends(connection: sqlite3.Connection, by: By, wanted: Filter) -> Iterator[Trend]:
    """Yield the runs that match `wanted`, grouped by `by`, the oldest group first.

    Only the fields `since`, `system`, `workload` and `mutant` of `wanted` are used. `since` is
    rounded down to the beginning of its day, in UTC, because runs are counted by day.
    """
    conditions, values = ["1"], list[object]()
    for name in ("system", "workload", "mutant"):
        if getattr(wanted, name):
            conditions.append(f"{name} = ?")
            values.append(getattr(wanted, name))
    if wanted.since is not None:
        conditions.append("day >= ?")
        values.append(wanted.since // DAY_S)
    found = connection.execute(
        f"""
        SELECT {_COLUMNS[by]}, min(first), sum(runs), total(runs * (verdict = 0)),
            total(runs * (verdict = 1)), total(runs * (verdict = 2)),
            sum(rate) / nullif(sum(rates), 0), sum(p50_ms) / nullif(sum(latencies), 0),
            sum(p99_ms) / nullif(sum(latencies), 0)
        FROM totals JOIN builds ON builds.id = build JOIN subjects ON subjects.id = subject
        WHERE {' AND '.join(conditions)} GROUP BY 1 ORDER BY 2, 1
        """, values,
    )
    for name, first, runs, valid, invalid, unknown, rate, p50_ms, p99_ms in found:
        yield Trend(
            name=str(name), first=first, runs=runs, valid=int(valid), invalid=int(invalid),
            unknown=int(unknown), rate=_rounded(rate), p50_ms=_rounded(p50_ms),
            p99_ms=_rounded(p99_ms),
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
