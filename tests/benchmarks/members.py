"""Starts the clusters that are measured, and reads their CPU time and memory.

A cluster has three members of this project or of real etcd, on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import psutil

from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.etcd import Etcd
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.etcd_like.python_node import PythonNode
from splitbrain.nemesis.fault_target import MemberName

Kind = Literal["ours", "etcd"]
NAMES = ("n1", "n2", "n3")
LEAD_POLL_S = 0.5
ROOT = Path(__file__).resolve().parents[2]


def cluster(kind: Kind, folder: Path, *, proxied: bool = False) -> ProcessCluster:
    """A cluster that is not started yet.

    Members of this project write no traces, because etcd's members write no traces.
    """
    settings = ClusterSettings(members=NAMES, folder=folder, proxied=proxied)
    return PythonNode(settings, tracing=False) if kind == "ours" else Etcd(settings)


@contextlib.asynccontextmanager
async def running(
    kind: Kind, folder: Path, *, proxied: bool = False
) -> AsyncIterator[ProcessCluster]:
    system = cluster(kind, folder, proxied=proxied)
    try:
        await system.start()
        yield system
    finally:
        await system.stop()


async def lead(system: ProcessCluster, member: MemberName) -> None:
    """Make `member` the leader, so that a connection to it takes the same way in each cluster."""
    while await system.leader() != member:
        await system.transfer_leadership(member)
        await asyncio.sleep(LEAD_POLL_S)


def urls(system: ProcessCluster) -> list[str]:
    return [system.address(name).client_url for name in system.members]


def cpu_s(system: ProcessCluster) -> float:
    """CPU seconds that all members together have used since their start."""
    times = [psutil.Process(system.pid(name)).cpu_times() for name in system.members]
    return float(sum(one.user + one.system for one in times))


def memory_mib(system: ProcessCluster) -> list[float]:
    """Resident memory of each member, in MiB."""
    return [
        psutil.Process(system.pid(name)).memory_info().rss / 1024**2 for name in system.members
    ]


async def load(
    system: ProcessCluster, kind: str, connections: int, amount: str,
    *, module: str = "tests.benchmarks.load",
) -> dict[str, float]:
    """Run the load generator `module` in a separate process.

    Returns its summary and `cpu_ms`: the CPU time of all members per operation, in ms.
    """
    before_s = cpu_s(system)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module,
        kind, str(connections), amount, *urls(system),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise RuntimeError(f"the load generator ended with exit code {process.returncode}")
    summary: dict[str, float] = json.loads(out)
    if summary["failed"]:
        raise RuntimeError(f"{summary['failed']:g} requests failed, so the figure is not valid")
    return {**summary, "cpu_ms": (cpu_s(system) - before_s) * 1e3 / max(summary["ok"], 1)}
