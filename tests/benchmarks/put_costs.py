"""Where the CPU time of a put goes in three members, over HTTP and over gRPC.

    python -m tests.benchmarks put_costs
    python -m tests.benchmarks.put_costs FILE     writes the table as Markdown

The main threads are sampled (`sampled_member`). The CPU time of the other threads comes from the
kernel. Each figure is the sum over the three members, divided by the number of puts.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.python_node import PythonNode
from tests.benchmarks.figure import Figure, load_average
from tests.benchmarks.members import NAMES, load
from tests.benchmarks.sampled_member import LOOP, STAGES

CARRIERS = {"HTTP": "tests.benchmarks.load", "gRPC": "tests.benchmarks.load_grpc"}
CONNECTIONS = 32
SECONDS = 12
WARM_S = 3
WAIT_S = 20.0
THREADS = "threads of grpcio"
DISK = "threads that sync the log and write the backend"


async def _costs(carrier: str, folder: Path) -> tuple[Counter[str], float, float]:
    """CPU µs of a put by stage, the sum of all, and the puts per second."""
    target = folder / "samples"
    command = [sys.executable, "-P", "-m", "tests.benchmarks.sampled_member", str(target), "--"]
    system = PythonNode(ClusterSettings(members=NAMES, folder=folder), command, tracing=False)
    module = CARRIERS[carrier]
    try:
        await system.start()
        await load(system, "put", CONNECTIONS, str(WARM_S), module=module)
        pids = [pid for name in system.members if (pid := system.pid(name)) is not None]
        for pid in pids:
            os.kill(pid, signal.SIGUSR1)
        summary = await load(system, "put", CONNECTIONS, str(SECONDS), module=module)
        for pid in pids:
            os.kill(pid, signal.SIGUSR2)
        files = [target.with_name(f"{target.name}.{pid}") for pid in pids]
        async with asyncio.timeout(WAIT_S):
            while not all(one.exists() for one in files):
                await asyncio.sleep(0.05)
        seconds: Counter[str] = Counter()
        for one in files:
            seconds.update(json.loads(one.read_text()))
    finally:
        await system.stop()
    costs: Counter[str] = Counter()
    for stage, used_s in seconds.items():
        costs[_row(stage)] += used_s * 1e6 / summary["ok"]  # type: ignore[assignment]
    return costs, sum(costs.values()), summary["per_second"]


def _row(stage: str) -> str:
    if not stage.startswith("thread "):
        return stage
    return DISK if "disk" in stage or "backend" in stage else THREADS


def rows() -> Sequence[str]:
    """The stages in the order of a put."""
    return tuple(dict.fromkeys([LOOP, *(name for _, name in STAGES), THREADS, DISK]))


async def _measure() -> dict[str, tuple[Counter[str], float, float]]:
    found = {}
    for carrier in CARRIERS:
        with tempfile.TemporaryDirectory() as name:
            found[carrier] = await _costs(carrier, Path(name))
    return found


def run() -> list[Figure]:
    return [
        Figure(
            name=f"CPU time of a put over {carrier} in 3 members, {CONNECTIONS} connections",
            unit="CPU µs", value=round(whole, 1),
            notes={
                **{stage: round(costs[stage], 1) for stage in rows() if costs[stage] >= 0.05},
                "puts/s while sampling": round(rate), "load average": load_average(),
            },
        )
        for carrier, (costs, whole, rate) in asyncio.run(_measure()).items()
    ]  # fmt: skip


def table(found: dict[str, tuple[Counter[str], float, float]]) -> str:
    """The costs as a table in Markdown."""
    lines = ["| CPU µs of a put, in three members | HTTP | gRPC |", "|---|---:|---:|"]
    for stage in rows():
        costs = [found[carrier][0][stage] for carrier in CARRIERS]
        if max(costs) >= 0.5:
            lines.append(f"| {stage} | " + " | ".join(_shown(one) for one in costs) + " |")
    whole = [found[carrier][1] for carrier in CARRIERS]
    lines.append("| **sum** | " + " | ".join(f"**{one:.0f}**" for one in whole) + " |")
    return "\n".join(lines) + "\n"


def _shown(microseconds: float) -> str:
    return f"{microseconds:.0f}" if microseconds >= 0.5 else "-"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(table(asyncio.run(_measure())))
