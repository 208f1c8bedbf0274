"""During a rolling upgrade, members run the other program; after it, the former one again."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from random import Random

import psutil
import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.runs.execute import open_folder
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.etcd import Etcd, find_binary
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.nemesis.fault import Kill, Upgrade
from splitbrain.nemesis.injection.all_injectors import inject
from tests.conformance.running_cluster import Running, cluster, on_a_cluster

pytestmark = [pytest.mark.cluster, pytest.mark.etcd]


def programs(running: Running) -> list[str]:
    pids = [running.system.pid(member) for member in running.system.members]
    if None in pids:
        raise psutil.NoSuchProcess(0)
    return [Path(psutil.Process(pid).exe()).name for pid in pids]


def other_etcd(folder: Path) -> Path:
    """The same etcd under another name, which its processes show."""
    other = folder / "etcd-other"
    shutil.copy(find_binary(), other)
    return other


def test_members_of_etcd_run_with_the_other_program_until_the_end_of_the_upgrade(
    tmp_path: Path,
) -> None:
    other = other_etcd(tmp_path)

    def make(settings: ClusterSettings) -> ProcessCluster:
        return Etcd(settings, "", str(other))

    async def main() -> None:
        async with cluster(make, tmp_path) as running:
            assert await running.put("n1")
            upgrade = await inject(Upgrade(), running.in_force, Random(1))
            async with asyncio.timeout(30):
                while programs_or_none(running) != ["etcd-other"] * 3:
                    await asyncio.sleep(0.05)
            await put_when_served(running)
            second = await inject(Upgrade(), running.in_force, Random(1))
            await second.undo()
            assert second.effect() == "", "an upgrade during another one has no effect"
            kill = await inject(Kill(on=("n1",)), running.in_force, Random(1))
            await kill.undo()
            assert programs(running)[0] == "etcd-other", "a restart keeps the program"
            await upgrade.undo()
            assert upgrade.effect() == "upgraded n1, upgraded n2, upgraded n3"
            assert programs(running) == ["etcd"] * 3
            third = await inject(Upgrade(on=("n2",)), running.in_force, Random(1))
            await third.undo()
            assert third.effect() == "upgraded n2"
            await put_when_served(running)
            await running.agreement()

    asyncio.run(main())


async def put_when_served(running: Running) -> None:
    async with asyncio.timeout(20):
        while not await running.put(await running.leader()):
            await asyncio.sleep(0.05)


def programs_or_none(running: Running) -> list[str] | None:
    try:
        return programs(running)
    except psutil.Error:  # a member does not run at this time
        return None


@on_a_cluster
async def test_an_upgrade_without_another_program_is_refused_or_a_rolling_restart(
    running: Running,
) -> None:
    pids = {member: running.system.pid(member) for member in running.system.members}
    if running.system.name == "etcd":
        with pytest.raises(Exception, match="name it by --other-binary"):
            await inject(Upgrade(), running.in_force, Random(1))
        return
    upgrade = await inject(Upgrade("leader"), running.in_force, Random(1))
    await upgrade.undo()
    changed = [member for member, pid in pids.items() if running.system.pid(member) != pid]
    assert tuple(changed) == upgrade.members
    await running.agreement()


def test_a_run_with_upgrades_of_etcd_needs_another_binary(tmp_path: Path) -> None:
    options = Options(system="etcd", nemesis=("upgrade",), seed=1, store=str(tmp_path))
    with pytest.raises(BadArguments, match="needs the option --other-binary"):
        open_folder(draw_schedule(options))
