"""Puts and linearizable gets a second, ours beside etcd.

Both clusters run all the while; each figure is measured in short turns, ours, etcd,
ours, etcd, with the same load, and the medians are compared: what else the machine
does meets both alike.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.figure import Figure, load_average, middle
from tests.benchmarks.members import load, running

CONNECTIONS = (1, 8, 32)
REQUIRED_AT = 32
REQUIRED_RATIO = 0.25
TURN_S = 3
TURNS = 3


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
            for made in (ours, etcd):
                await load(made, "put", 8, "1000x")  # warm, and keys for the gets
            for kind in ("put", "get"):
                for connections in CONNECTIONS:
                    seen: dict[str, list[dict[str, float]]] = {"ours": [], "etcd": []}
                    for _ in range(TURNS):
                        for whose, made in (("ours", ours), ("etcd", etcd)):
                            seen[whose].append(await load(made, kind, connections, str(TURN_S)))
                    figures.append(_figure(kind, connections, seen))
    return figures


def _figure(kind: str, connections: int, seen: dict[str, list[dict[str, float]]]) -> Figure:
    rates = {
        whose: tuple(round(one["per_second"], 1) for one in samples)
        for whose, samples in seen.items()
    }
    notes: dict[str, Any] = {
        f"{name} {whose}": round(middle([one[name] for one in samples]), 3)
        for name in ("cpu_ms", "p50_ms", "p99_ms")
        for whose, samples in seen.items()
    }
    return Figure(
        name=f"{'puts' if kind == 'put' else 'linearizable gets'}, {connections} connections",
        unit="/s",
        value=middle(rates["ours"]),
        samples=rates["ours"],
        peer_name="etcd",
        peer=middle(rates["etcd"]),
        peer_samples=rates["etcd"],
        bound=REQUIRED_RATIO if connections == REQUIRED_AT else None,
        of="ratio",
        notes={**notes, "load average": load_average()},
    )
