"""Mounted disks lose, refuse and change data of real members, and are healthy when healed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from splitbrain.harness.systems.etcd_like.etcd import Etcd
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.etcd_like.python_node import PythonNode
from splitbrain.nemesis.disk_fault import BitRot, DiskFault
from splitbrain.nemesis.fault import PowerLoss
from splitbrain.nemesis.injection.all_injectors import inject
from splitbrain.nemesis.linux.mounts import fuse_missing, mounted_folders
from tests.conformance.running_cluster import Running, cluster

pytestmark = [
    pytest.mark.cluster, pytest.mark.skipif(bool(fuse_missing()), reason=fuse_missing() or "-")
]


async def revision(running: Running) -> int:
    """The revision on which all members agree; at least the restart of all has ended then."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await running.agreement()
            except (TimeoutError, AssertionError):
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("make", [
    pytest.param(Etcd, marks=pytest.mark.etcd),
    pytest.param(PythonNode, marks=pytest.mark.campaign),
])
def test_acknowledged_writes_survive_a_power_loss_of_all_members_unless_the_disks_lie(
    make: Callable[..., ProcessCluster], tmp_path: Path
) -> None:
    async def main() -> None:
        async with cluster(make, tmp_path, mounted_disks=True) as running:
            leader = await running.leader()
            for _ in range(20):
                assert await running.put(leader)
            power = await inject(PowerLoss("all"), running.in_force, Random(1))
            assert not any(running.system.alive(member) for member in running.system.members)
            await power.undo()
            assert await revision(running) == 21
            lying = await inject(DiskFault("all", lying=True), running.in_force, Random(1))
            leader = await running.leader()
            for _ in range(50):
                assert await running.put(leader)
            power = await inject(PowerLoss("all"), running.in_force, Random(1))
            await lying.undo()
            await power.undo()
            # A store may lose writes now, or notice that its files contradict each other.
            async with asyncio.timeout(20):
                while not running.system.ended_by_themselves():
                    statuses = await running.system._statuses()
                    if len(statuses) == 3 and {one.leader for one in statuses.values()} != {0}:
                        revisions = {one.header.revision for one in statuses.values()}
                        assert min(revisions) < 71
                        break
                    await asyncio.sleep(0.1)
        assert not [one for one in mounted_folders() if str(tmp_path) in one]
        assert list((tmp_path / "n1" / "data").iterdir()), "the files stay in the folder"

    asyncio.run(main())


@pytest.mark.etcd
def test_a_member_of_etcd_stops_on_a_full_disk_and_notices_that_its_log_is_rotten(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with cluster(Etcd, tmp_path, mounted_disks=True) as running:
            full = await inject(DiskFault(full=True, on=("n1",)), running.in_force, Random(1))
            leader = await running.leader()
            async with asyncio.timeout(30):
                while running.system.alive("n1"):
                    await running.put(leader, timeout_s=1, size_bytes=200_000)
                    leader = await running.leader()
            await full.undo()
            assert running.system.alive("n1")
            await running.leader()
            await running.in_force.stop_members("killed", ("n2",))
            await inject(BitRot(area="log", bits=64, on=("n2",)), running.in_force, Random(1))
            await running.in_force.release_all()
            # etcd takes a rotten length of a record for a torn end of the log, and cuts it there.
            log = running.system.log_path("n2")
            async with asyncio.timeout(30):
                while running.system.alive("n2") and "repaired WAL" not in log.read_text():
                    await asyncio.sleep(0.05)

    asyncio.run(main())
