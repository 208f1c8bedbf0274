"""Measures puts and linearizable gets per second of this project's members and of etcd.

Both clusters run during the whole benchmark, and the first member of each leads. Each figure is
measured in short turns (ours, etcd, ours, etcd, …) with the same load, and the medians are
compared, so that other load on the machine affects both alike.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.figure import Figure, load_average
from tests.benchmarks.members import lead, load, running

CONNECTIONS = (1, 8, 32, 128)
AT = 32
"""The connections of the gets and of the latencies that have a requirement."""
REQUIRED_PUTS, REQUIRED_GETS, REQUIRED_P99 = 1.0, 1.5, 1.0
TURN_S = 3
TURNS = 3
NOTES = {
    "cpu_ms": "members' CPU ms per request",
    "p50_ms": "median latency ms",
    "p99_ms": "99th percentile latency ms",
}


def run() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            running("ours", folder / "ours") as ours,
            running("etcd", folder / "etcd") as etcd,
        ):
            for members in (ours, etcd):
                await lead(members, members.members[0])
                await load(members, "put", 8, "1000x")  # warms up, and writes keys for the gets
            for kind in ("put", "get"):
                for connections in CONNECTIONS if kind == "put" else (AT,):
                    measured: dict[str, list[dict[str, float]]] = {"ours": [], "etcd": []}
                    for _ in range(TURNS):
                        for system, members in (("ours", ours), ("etcd", etcd)):
                            summary = await load(members, kind, connections, str(TURN_S))
                            measured[system].append(summary)
                    figures.append(_figure(kind, connections, measured))
                    if kind == "put" and connections == AT:
                        figures.append(_latency(measured))
    return figures


def _figure(kind: str, connections: int, measured: dict[str, list[dict[str, float]]]) -> Figure:
    rates = {
        system: tuple(round(one["per_second"], 1) for one in samples)
        for system, samples in measured.items()
    }
    notes: dict[str, Any] = {
        f"{label} ({system})": round(median([one[field] for one in samples]), 3)
        for field, label in NOTES.items()
        for system, samples in measured.items()
    }
    requests = "puts" if kind == "put" else "linearizable gets"
    return Figure(
        name=f"{requests} to 3 members, {connections} connections",
        unit="requests/s",
        value=median(rates["ours"]),
        samples=rates["ours"],
        peer_name="etcd",
        peer=median(rates["etcd"]),
        peer_samples=rates["etcd"],
        bound=REQUIRED_PUTS if kind == "put" else REQUIRED_GETS,
        of="ratio",
        notes={**notes, "load average": load_average()},
    )


def _latency(measured: dict[str, list[dict[str, float]]]) -> Figure:
    samples = {
        system: tuple(round(one["p99_ms"], 2) for one in found)
        for system, found in measured.items()
    }
    return Figure(
        name=f"99th percentile latency of puts to 3 members, {AT} connections",
        unit="ms",
        value=median(samples["ours"]),
        samples=samples["ours"],
        peer_name="etcd",
        peer=median(samples["etcd"]),
        peer_samples=samples["etcd"],
        bound=REQUIRED_P99,
        bound_kind="at most",
        of="ratio",
    )
