"""Each fault has its effect on real clusters. A fault without effect would hide every bug."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Literal

import psutil
import pytest

from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.histories.event import FaultEvent
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.fault import Kill, Latency, Partition, Pause
from splitbrain.nemesis.fault_drawing import draw_faults
from splitbrain.nemesis.fault_frequency import Tempo
from splitbrain.nemesis.injection.inject import inject
from splitbrain.nemesis.nemesis import Nemesis
from tests.conformance.running_cluster import ELECTION_MS, SYSTEMS, Running, cluster, on_a_cluster

pytestmark = pytest.mark.cluster
@on_a_cluster
async def test_a_killed_leader_is_replaced_and_restarts_with_its_data(
    running: Running,
) -> None:
    old = await running.leader()
    assert await running.put(old)
    pid = running.system.pid(old)
    assert pid is not None
    kill = await inject(Kill("leader"), running.in_force, Random(1))
    assert kill.members == (old,)
    assert not psutil.pid_exists(pid)
    assert not running.system.alive(old)
    new = await running.leader(other_than=old)
    assert await running.put(new)
    await kill.undo()
    assert running.system.pid(old) not in (None, pid)
    assert await running.agreement() == 3


@on_a_cluster
async def test_a_member_that_ends_by_itself_is_reported_although_a_fault_restarts_it(
    running: Running,
) -> None:
    system = running.system
    await system.kill("n1")
    await system.restart("n1")
    assert system.ended_by_themselves() == (), "a kill by the harness is not reported"
    psutil.Process(system.pid("n2")).kill()
    while system.alive("n2"):
        await asyncio.sleep(0.01)
    await system.kill("n2")
    await system.restart("n2")
    (crash,) = system.ended_by_themselves()
    assert (crash.member, crash.how) == ("n2", "signal 9 (SIGKILL)")
    assert crash.log_tail
    assert crash.log == str(system.log_path("n2"))
    await running.agreement()


@on_a_cluster
async def test_a_paused_leader_is_replaced_and_catches_up_when_it_is_resumed(
    running: Running,
) -> None:
    old = await running.leader()
    pause = await inject(Pause("leader"), running.in_force, Random(1))
    assert psutil.Process(running.system.pid(old)).status() == psutil.STATUS_STOPPED
    assert running.system.alive(old)
    assert not await running.put(old, timeout_s=0.5)
    new = await running.leader(other_than=old)
    assert await running.put(new)
    await pause.undo()
    assert psutil.Process(running.system.pid(old)).status() != psutil.STATUS_STOPPED
    await running.agreement()


@pytest.mark.parametrize("how", ["cut", "black_hole"])
@pytest.mark.parametrize("make", SYSTEMS)
def test_an_isolated_leader_acknowledges_no_write_and_is_replaced(
    make: Callable[..., ProcessCluster], how: Literal["cut", "black_hole"], tmp_path: Path
) -> None:
    async def main() -> None:
        async with cluster(make, tmp_path) as running:
            old = await running.leader()
            assert await running.put(old)
            partition = await inject(
                Partition("isolate_leader", how=how), running.in_force, Random(1)
            )
            assert not await running.put(old, timeout_s=0.5)
            new = await running.leader(other_than=old)
            assert await running.put(new)
            await partition.undo()
            await running.agreement()
            assert await running.put(old)

    asyncio.run(main())


@on_a_cluster
async def test_a_leader_that_can_receive_but_not_send_is_replaced(running: Running) -> None:
    old = await running.leader()
    partition = await inject(Partition("one_way", "leader", "cut"), running.in_force, Random(1))
    new = await running.leader(other_than=old)
    assert await running.put(new)
    await partition.undo()
    await running.agreement()


@on_a_cluster
async def test_a_follower_that_can_receive_but_not_send_does_not_depose_the_leader(
    running: Running,
) -> None:
    leader = await running.leader()
    partition = await inject(Partition("one_way", "follower"), running.in_force, Random(1))
    (mute,) = partition.members
    assert mute != leader
    # The follower still receives the heartbeats of the leader.
    for _ in range(8):
        await asyncio.sleep(ELECTION_MS / 2000)
        assert await running.leader() == leader
    assert await running.put(leader)
    assert not await running.put(mute, timeout_s=0.5)
    await partition.undo()
    await running.agreement()


@on_a_cluster
async def test_latency_delays_writes_by_a_round_trip(running: Running) -> None:
    leader = await running.leader()
    assert await running.put(leader)

    async def put_s() -> float:
        began = time.monotonic()
        assert await running.put(leader)
        return time.monotonic() - began

    assert min([await put_s() for _ in range(5)]) < 0.1
    slow = await inject(Latency("leader", 100, 0), running.in_force, Random(1))
    assert min([await put_s() for _ in range(3)]) >= 0.19
    await slow.undo()
    assert min([await put_s() for _ in range(5)]) < 0.1
    assert await running.leader() == leader


@on_a_cluster
async def test_members_agree_after_many_concurrent_faults(running: Running) -> None:
    kinds = ("kill", "pause", "partition", "latency")
    tempo = Tempo(hold_ms=(200, 1_200), gap_ms=(100, 600), tail_ms=0)
    schedule = draw_faults(3, kinds, 5_000, running.system.members, tempo=tempo)
    events: list[FaultEvent] = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    nemesis = Nemesis(
        schedule, running.system, lambda f, value: events.append(value),
        lambda: (loop.time() - began) * 1000,
    )
    nemesis_task = asyncio.create_task(nemesis.run())
    random = stream(3, "puts")
    while not nemesis_task.done():
        await running.put(random.choice(running.system.members), timeout_s=0.3)
        await asyncio.sleep(0.02)
    await nemesis_task
    await nemesis.heal_all()
    assert [one.error for one in events if one.error] == []
    assert len([one for one in events if one.phase == "ended"]) == len(schedule) > 12
    assert all(running.system.alive(member) for member in running.system.members)
    await running.agreement()
