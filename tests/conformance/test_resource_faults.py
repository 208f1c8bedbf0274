"""Faults that take resources have their effect on real members, and end when they are healed."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path
from random import Random

import psutil
import pytest

from splitbrain.harness.systems.etcd_like.etcd import Etcd
from splitbrain.nemesis.fault import BlockedLog, CpuStarvation, FewFiles, LittleMemory, Pause
from splitbrain.nemesis.injection.all_injectors import inject
from splitbrain.nemesis.linux.stop_process import is_stopped
from tests.conformance.running_cluster import Running, cluster, on_a_cluster, on_etcd

pytestmark = pytest.mark.cluster


@on_etcd
async def test_a_starved_member_is_stopped_again_and_again_and_runs_when_healed(
    running: Running,
) -> None:
    starved = await inject(CpuStarvation(percent=20, on=("n1",)), running.in_force, Random(1))
    pid = running.system.pid("n1")
    assert pid is not None
    seen: list[bool] = []
    async with asyncio.timeout(20):
        while seen[-4:] != [True, False, True, False]:
            if seen[-1:] != [is_stopped(pid)]:
                seen.append(is_stopped(pid))
            await asyncio.sleep(0.005)
    pause = await inject(Pause(on=("n1",)), running.in_force, Random(1))
    await asyncio.sleep(0.3)
    assert is_stopped(pid), "the pause is stronger"
    await pause.undo()
    await starved.undo()
    assert not is_stopped(pid)
    await running.agreement()


@on_a_cluster
async def test_a_member_without_free_files_accepts_no_connection_until_the_fault_is_healed(
    running: Running,
) -> None:
    limited = await inject(FewFiles("follower"), running.in_force, Random(1))
    (member,) = limited.members
    pid = running.system.pid(member)
    assert pid is not None
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    await running.reconnect()
    # Each of these uses a connection of its own, more than the files that the old one has freed.
    answered = await asyncio.gather(*(running.put(member, timeout_s=2) for _ in range(20)))
    assert not all(answered)
    await limited.undo()
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] > limit
    async with asyncio.timeout(20):
        while not await running.put(member, timeout_s=1):
            pass
    await running.agreement()


@on_etcd
async def test_a_member_that_needs_more_memory_than_it_may_have_ends_and_is_restarted(
    running: Running,
) -> None:
    limited = await inject(LittleMemory("leader"), running.in_force, Random(1))
    (member,) = limited.members
    process = psutil.Process(running.system.pid(member))
    used = process.memory_info().vms
    assert resource.prlimit(process.pid, resource.RLIMIT_AS)[0] <= used
    async with asyncio.timeout(30):
        while running.system.alive(member):
            await asyncio.gather(*(
                running.put(member, timeout_s=1, size_bytes=500_000) for _ in range(20)
            ))
    (crash,) = running.system.ended_by_themselves()
    assert "memory" in "\n".join((*crash.panic, *crash.log_tail))
    await limited.undo()
    assert running.system.alive(member)
    await running.leader()


@pytest.mark.etcd
def test_a_member_whose_log_is_not_read_waits_until_it_is_read_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with cluster(Etcd, tmp_path, piped_logs=True) as running:
            system = running.system
            assert await running.put("n1")
            first = await inject(BlockedLog(on=("n1",)), running.in_force, Random(1))
            second = await inject(BlockedLog(on=("n1",)), running.in_force, Random(1))
            before = system.log_path("n1").read_bytes()
            async with asyncio.timeout(20):
                while not system.waits_for_log("n1"):
                    # etcd logs three lines for each defragmentation.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(system.maintain("n1", "defragment"), 0.5)
            assert system.log_path("n1").read_bytes() == before
            await first.undo()
            assert second.effect() == "n1 waited for its log", "it is still in force"
            await second.undo()
            assert not first.effect()
            async with asyncio.timeout(20):
                while not await running.put("n1"):
                    pass
            after = system.log_path("n1").read_bytes()
            assert b"defragment" in after[len(before):]
            assert b"\0" not in after
            await running.agreement()

    asyncio.run(main())
