"""Clusters to measure: three members on loopback, ours or real etcd's, and what they use."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import psutil

from splitbrain.harness.systems.cluster import ProcessCluster
from splitbrain.harness.systems.etcd import Etcd
from splitbrain.harness.systems.python_node import PythonNode
from splitbrain.harness.systems.settings import ClusterSettings

Kind = Literal["ours", "etcd"]
NAMES = ("n1", "n2", "n3")
ROOT = Path(__file__).resolve().parents[2]


def cluster(kind: Kind, folder: Path, *, proxied: bool = False) -> ProcessCluster:
    """Not started yet. Ours writes no traces: a store in earnest would not either."""
    settings = ClusterSettings(members=NAMES, folder=folder, proxied=proxied)
    return PythonNode(settings, tracing=False) if kind == "ours" else Etcd(settings)


@contextlib.asynccontextmanager
async def running(
    kind: Kind, folder: Path, *, proxied: bool = False
) -> AsyncIterator[ProcessCluster]:
    made = cluster(kind, folder, proxied=proxied)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


def urls(made: ProcessCluster) -> list[str]:
    return [made.address(name).client_url for name in made.members]


def cpu_s(made: ProcessCluster) -> float:
    """CPU time that the members have used so far, all together."""
    times = [psutil.Process(made.pid(name)).cpu_times() for name in made.members]
    return float(sum(one.user + one.system for one in times))


def memory_mib(made: ProcessCluster) -> list[float]:
    """Resident memory of each member."""
    return [
        psutil.Process(made.pid(name)).memory_info().rss / 1024**2 for name in made.members
    ]


async def load(made: ProcessCluster, kind: str, connections: int, amount: str) -> dict[str, float]:
    """Load from a process of its own (see `load`); its summary, and the members' CPU
    time an operation as `cpu_ms`."""
    before_s = cpu_s(made)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.load", kind, str(connections), amount, *urls(made),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise RuntimeError(f"the load ended with exit code {process.returncode}")
    summary: dict[str, float] = json.loads(out)
    if summary["failed"]:
        raise RuntimeError(f"{summary['failed']:g} requests failed: the figure means nothing")
    return {**summary, "cpu_ms": (cpu_s(made) - before_s) * 1e3 / max(summary["ok"], 1)}
