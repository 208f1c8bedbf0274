"""What the proxies between members cost: etcd with them and without.

Proxies share the machine with the members, so their CPU time is part of the price.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from tests.benchmarks.figure import Figure, load_average, middle
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
                with_s: list[dict[str, float]] = []
                without: list[dict[str, float]] = []
                for _ in range(TURNS):
                    with_s.append(await load(proxied, "put", connections, str(TURN_S)))
                    without.append(await load(plain, "put", connections, str(TURN_S)))
                figures += _figures(connections, with_s, without)
    return figures


def _figures(
    connections: int, proxied: list[dict[str, float]], plain: list[dict[str, float]]
) -> list[Figure]:
    def figure(what: str, unit: str, of: str) -> Figure:
        ours = tuple(round(one[of], 3) for one in proxied)
        peers = tuple(round(one[of], 3) for one in plain)
        return Figure(
            name=f"{what} of puts through proxies, {connections} connections",
            unit=unit,
            value=middle(ours),
            samples=ours,
            peer_name="without proxies",
            peer=middle(peers),
            peer_samples=peers,
            notes={"load average": load_average()},
        )

    return [figure("rate", "/s", "per_second"), figure("median latency", "ms", "p50_ms")]
