"""Measures queries of the database of a store with 1,000,000 synthetic runs.

Each query is a filter that the command line and the web view offer, for common values and for rare
ones, and in orders in which the matching runs come late.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

from splitbrain.harness.store.database.database import add_runs, open_database
from splitbrain.harness.store.database.query import Filter, Sort, find_runs
from splitbrain.harness.store.database.trends import By, Trend, trends
from splitbrain.harness.store.run_row import RunRow
from tests.benchmarks.figure import Figure, load_average

RUNS = 1_000_000
SECONDS_APART = 30
REQUIRED_S = 0.2
TIMES = 5
LAST = 1_800_000_000
KINDS = ("kill", "pause", "partition", "latency", "disk", "power", "clock")
WORKLOADS = ("kv", "register", "append", "set", "bank", "watch", "queue", "txn")
CHECKERS = ("mvcc", "linearizable", "watch", "write_path")


def synthetic_rows(runs: int, last: int = LAST) -> Iterator[RunRow]:
    """`runs` runs of a project over some years: 1 % invalid, 0.5 % unknown; etcd only at first."""
    random = Random(1)
    for number in range(runs):
        share = number / runs
        system = "etcd" if share < 0.1 else random.choice(("simulated", "simulated", "python_node"))
        chance = random.random()
        valid = None if chance < 0.005 else chance >= 0.015
        checker = "" if valid else random.choice(CHECKERS)
        workload = random.choice(WORKLOADS)
        yield RunRow(
            key=f"{system}-{workload}/{number}", folder=f"{system}-{workload}/{number}",
            campaign=f"nightly-{number // 20_000}" if number % 4 else "", number=number,
            group=f"{checker}-{number % 40}" if valid is False else "",
            started=last - (runs - number) * SECONDS_APART, test=f"{system}-{workload}",
            system=system, workload=workload,
            nemesis=tuple(sorted(random.sample(KINDS, random.randrange(4)))),
            members=random.choice((1, 3, 5)), seed=number, valid=valid, ended="time limit",
            load_s=30.0, rate=200 * random.random() + share, p50_ms=random.random() * 5,
            p99_ms=random.random() * 50, ok=5000, fail=3, info=2,
            anomalies=0 if valid is not False else 3, checker=checker,
            kind="" if valid is not False else f"kind {number % 9}",
            because="" if valid else f"n{number % 5} answered r{number}=5, expected {number * 7}",
            version=f"0.{int(share * 12)}.0", commit=f"{int(share * 2_000):012x}",
            reproduce=f"splitbrain run --seed {number}",
        )


QUERIES: dict[str, tuple[Filter, Sort]] = {
    "all": (Filter(), "started"),
    "all by rate": (Filter(), "rate"),
    "invalid": (Filter(verdicts=("invalid",)), "started"),
    "valid of a workload": (Filter(verdicts=("valid",), workload="kv"), "started"),
    "invalid, 2 days, etcd, watch": (
        Filter(verdicts=("invalid",), since=LAST - 172_800, system="etcd", workload="watch"),
        "started",
    ),
    "a system that ran long ago": (Filter(system="etcd"), "started"),
    "a system that ran long ago, by p99": (Filter(system="etcd"), "p99_ms"),
    "a system of most runs": (Filter(system="simulated"), "started"),
    "a system of most runs, by rate": (Filter(system="simulated"), "rate"),
    "two kinds of faults": (Filter(nemesis=("kill", "disk")), "started"),
    "30 days": (Filter(since=LAST - 30 * 86_400), "started"),
    "30 days, a system": (Filter(since=LAST - 30 * 86_400, system="simulated"), "p99_ms"),
    "a version": (Filter(version="0.3.0"), "started"),
    "a version, a workload, by rate": (Filter(version="0.3.0", workload="append"), "rate"),
    "a commit": (Filter(commit="0000000003e8"), "started"),
    "a campaign": (Filter(campaign="nightly-7"), "started"),
    "a checker and a kind": (Filter(checker="watch", kind="kind 4"), "started"),
    "a group": (Filter(group="mvcc-8"), "started"),
    "a seed": (Filter(seed=123_456), "started"),
    "a word of an anomaly": (Filter(text="r999"), "started"),
    "a word of every anomaly": (Filter(text="answered"), "started"),
}
TRENDS: tuple[By, ...] = ("day", "version", "commit")


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, open_database(Path(name)) as connection:
        began = time.perf_counter()
        add_runs(connection, synthetic_rows(RUNS))
        added_s = time.perf_counter() - began
        slowest = [
            (_seconds(partial(find_runs, connection, wanted, sort=sort)), text)
            for text, (wanted, sort) in QUERIES.items()
        ]
        over = [(_seconds(partial(_trend, connection, by)), f"trend by {by}") for by in TRENDS]
        kept = Path(name, "runs.sqlite").stat().st_size / 2**20
    return [
        _figure("slowest query", slowest, {"MiB": round(kept), "added in s": round(added_s, 1)}),
        _figure("slowest trend", over, {}),
    ]


def _trend(connection: sqlite3.Connection, by: By) -> list[Trend]:
    return list(trends(connection, by, Filter()))


def _seconds(query: Callable[[], object]) -> float:
    samples = []
    for _ in range(TIMES):
        began = time.perf_counter()
        query()
        samples.append(time.perf_counter() - began)
    return median(samples)


def _figure(name: str, measured: list[tuple[float, str]], notes: dict[str, float | str]) -> Figure:
    seconds, text = max(measured)
    each = {text: round(one, 4) for one, text in sorted(measured, reverse=True)}
    return Figure(
        name=f"{name} of a store of {RUNS:,} runs ({text})", unit="s", value=round(seconds, 4),
        bound=REQUIRED_S, bound_kind="at most",
        notes={**notes, **each, "load average": load_average(), "SQLite": sqlite3.sqlite_version},
    )
