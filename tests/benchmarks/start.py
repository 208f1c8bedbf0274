"""Measures the time from starting three members with empty data until all know the same leader."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.benchmarks.figure import Figure, load_average
from tests.benchmarks.members import Kind, cluster, cpu_s, load

TURNS = 5
REQUIRED_S = 2.0


def run() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    seconds_of: dict[Kind, list[float]] = {"ours": [], "etcd": []}
    cpu_s_of: dict[Kind, list[float]] = {"ours": [], "etcd": []}
    for _ in range(TURNS):
        for kind in seconds_of:
            seconds, cpu = await _start(kind)
            seconds_of[kind].append(seconds)
            cpu_s_of[kind].append(cpu)
    return [
        Figure(
            name="start of three members until all name one leader",
            unit="wall s",
            value=median(seconds_of["ours"]),
            samples=tuple(round(one, 3) for one in seconds_of["ours"]),
            peer_name="etcd",
            peer=median(seconds_of["etcd"]),
            peer_samples=tuple(round(one, 3) for one in seconds_of["etcd"]),
            bound=REQUIRED_S,
            bound_kind="at most",
            notes={
                "CPU s of the three members": round(median(cpu_s_of["ours"]), 3),
                "CPU s of etcd's three members": round(median(cpu_s_of["etcd"]), 3),
                "cores": os.cpu_count() or 0,
                "load average": load_average(),
            },
        )
    ]


async def _start(kind: Kind) -> tuple[float, float]:
    """Start a cluster. Returns the seconds until it has a leader, and its members' CPU seconds."""
    with tempfile.TemporaryDirectory() as name:
        system = cluster(kind, Path(name))
        try:
            began = time.perf_counter()
            await system.start()  # returns when all members name the same leader
            seconds = time.perf_counter() - began
            used_s = cpu_s(system)
            await load(system, "put", 3, "3x")  # checks that the leader serves; not measured
            return seconds, used_s
        finally:
            await system.stop()
