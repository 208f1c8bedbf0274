"""The links of real clusters lose and corrupt packets, break half open, and receive slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.etcd_like.python_node import PythonNode
from splitbrain.nemesis.fault import Corruption, Fault, HalfOpen, PacketLoss, SlowReceiver
from splitbrain.nemesis.injection.all_injectors import inject
from tests.conformance.running_cluster import SYSTEMS, Running, cluster

pytestmark = pytest.mark.cluster

FAULTS: dict[str, Fault] = {
    "loss": PacketLoss("leader", 30.0),
    "half_open": HalfOpen("follower"),
    "slow_receiver": SlowReceiver("follower", 2_000),
}


@pytest.mark.parametrize("make", SYSTEMS)
def test_each_fault_of_links_changes_frames_and_the_members_agree_after_it(
    make: Callable[..., ProcessCluster], tmp_path: Path
) -> None:
    faults = {**FAULTS, "corruption": Corruption("all", 50.0)} if make is PythonNode else FAULTS

    async def main() -> None:
        async with cluster(make, tmp_path) as running:
            for fault in faults.values():
                await _meets_traffic(running, fault)

    asyncio.run(asyncio.wait_for(main(), 180))


async def _meets_traffic(running: Running, fault: Fault) -> None:
    assert await running.put(await running.leader())
    injected = await inject(fault, running.in_force, Random(1))
    async with asyncio.timeout(10):
        while not injected.effect():
            await running.put(await running.leader(), timeout_s=0.5, size_bytes=2_000)
    await injected.undo()
    await running.agreement()
