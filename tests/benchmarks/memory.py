"""Measures the resident memory of a member after 100,000 puts of distinct keys and 20,000 gets.

The figure is that of the member with the most memory.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from tests.benchmarks.figure import Figure, load_average
from tests.benchmarks.members import Kind, load, memory_mib, running

PUTS = 100_000
GETS = 20_000
CONNECTIONS = 32
REQUIRED_MIB = 200.0


def run() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    memory: dict[Kind, dict[str, list[float]]] = {}
    for kind in ("ours", "etcd"):
        with tempfile.TemporaryDirectory() as name:
            async with running(kind, Path(name)) as system:
                idle = memory_mib(system)
                await load(system, "put", CONNECTIONS, f"{PUTS}x")
                after_puts = memory_mib(system)
                await load(system, "get", CONNECTIONS, f"{GETS}x")
                memory[kind] = {"idle": idle, "puts": after_puts, "gets": memory_mib(system)}
    largest = {kind: max(*one["puts"], *one["gets"]) for kind, one in memory.items()}
    return [
        Figure(
            name=f"resident memory of the largest member after {PUTS:,} puts",
            unit="MiB",
            value=round(largest["ours"], 1),
            samples=tuple(round(one, 1) for one in memory["ours"]["puts"]),
            peer_name="etcd",
            peer=round(largest["etcd"], 1),
            peer_samples=tuple(round(one, 1) for one in memory["etcd"]["puts"]),
            bound=REQUIRED_MIB,
            bound_kind="at most",
            notes={
                "MiB before the puts": round(max(memory["ours"]["idle"]), 1),
                "etcd's MiB before the puts": round(max(memory["etcd"]["idle"]), 1),
                "load average": load_average(),
            },
        )
    ]
