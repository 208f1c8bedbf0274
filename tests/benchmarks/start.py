"""From starting three members on empty folders until a put has been acknowledged."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from tests.benchmarks.figure import Figure, load_average, middle
from tests.benchmarks.members import Kind, cluster, cpu_s, load

TURNS = 5
REQUIRED_S = 2.0


def run() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    took: dict[Kind, list[float]] = {"ours": [], "etcd": []}
    used: dict[Kind, list[float]] = {"ours": [], "etcd": []}
    for _ in range(TURNS):
        for kind in took:
            seconds, cpu = await _start(kind)
            took[kind].append(seconds)
            used[kind].append(cpu)
    return [
        Figure(
            name="start of three members to a leader that all know",
            unit="s",
            value=middle(took["ours"]),
            samples=tuple(round(one, 3) for one in took["ours"]),
            peer_name="etcd",
            peer=middle(took["etcd"]),
            peer_samples=tuple(round(one, 3) for one in took["etcd"]),
            bound=REQUIRED_S,
            bound_kind="at most",
            notes={
                "CPU s of the three, ours": round(middle(used["ours"]), 3),
                "CPU s of the three, etcd": round(middle(used["etcd"]), 3),
                "cores": os.cpu_count() or 0,
                "load average": load_average(),
            },
        )
    ]


async def _start(kind: Kind) -> tuple[float, float]:
    """Seconds until it serves, CPU seconds of the members until then."""
    with tempfile.TemporaryDirectory() as name:
        made = cluster(kind, Path(name))
        try:
            began = time.perf_counter()
            await made.start()  # returns when all members name the same leader
            seconds = time.perf_counter() - began
            used = cpu_s(made)
            await load(made, "put", 3, "3x")  # that it leads indeed; not in the time
            return seconds, used
        finally:
            await made.stop()
