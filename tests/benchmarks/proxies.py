"""Measures rate and latency of puts to etcd, with and without proxies between its members.

The proxies share the machine with the members, so their CPU time is part of the cost.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from statistics import median

from tests.benchmarks.figure import Figure, load_average
from tests.benchmarks.members import load, running

CONNECTIONS = (1, 32)
TURN_S = 3
TURNS = 3


def run() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            running("etcd", folder / "proxied", proxied=True) as proxied,
            running("etcd", folder / "plain") as plain,
        ):
            for connections in CONNECTIONS:
                with_proxies: list[dict[str, float]] = []
                without_proxies: list[dict[str, float]] = []
                for _ in range(TURNS):
                    with_proxies.append(await load(proxied, "put", connections, str(TURN_S)))
                    without_proxies.append(await load(plain, "put", connections, str(TURN_S)))
                figures += _figures(connections, with_proxies, without_proxies)
    return figures


def _figures(
    connections: int, proxied: list[dict[str, float]], plain: list[dict[str, float]]
) -> list[Figure]:
    def figure(quantity: str, unit: str, field: str) -> Figure:
        ours = tuple(round(one[field], 3) for one in proxied)
        peers = tuple(round(one[field], 3) for one in plain)
        return Figure(
            name=f"{quantity} of puts to etcd through proxies, {connections} connections",
            unit=unit,
            value=median(ours),
            samples=ours,
            peer_name="etcd without_proxies proxies",
            peer=median(peers),
            peer_samples=peers,
            notes={"load average": load_average()},
        )

    return [figure("rate", "puts/s", "per_second"), figure("median latency", "ms", "p50_ms")]
