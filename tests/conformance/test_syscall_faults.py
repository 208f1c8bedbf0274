"""Faults in system calls have their effect on real members, and end when they are healed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

import pytest

from splitbrain.harness.systems.etcd_like.etcd import Etcd
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import AtStep, Pause, SyscallFault
from splitbrain.nemesis.injection.all_injectors import inject
from splitbrain.nemesis.injection.step import arm
from splitbrain.nemesis.linux import strace
from splitbrain.nemesis.linux.stop_process import is_stopped
from tests.conformance.running_cluster import Running, cluster, on_a_cluster, on_etcd

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(strace.missing()), reason=strace.missing() or "-"),
]


def tracer(pid: int | None) -> str:
    """The process id of the tracer of `pid`; "0" if nothing traces it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(line.split()[1] for line in status.splitlines() if line.startswith("TracerPid"))


async def put_until_dead(running: Running, member: str) -> None:
    async with asyncio.timeout(20):
        while running.system.alive(member):
            await running.put(member, timeout_s=0.5)


@on_a_cluster
async def test_a_delay_of_syncs_of_the_log_delays_writes(running: Running) -> None:
    assert await running.put("n1")
    fault = SyscallFault("all", "sync", "delay", delay_ms=300)
    slow = await inject(fault, running.in_force, Random(1))
    began = time.monotonic()
    assert await running.put("n1", timeout_s=10)
    assert time.monotonic() - began >= 0.29
    pids = [running.system.pid(member) for member in slow.members]
    assert "0" not in map(tracer, pids)
    await slow.undo()
    assert set(map(tracer, pids)) == {"0"}
    assert [running.system.pid(member) for member in slow.members] == pids
    await running.agreement()


@on_a_cluster
async def test_a_member_is_killed_at_the_nth_sync_of_its_log(running: Running) -> None:
    fault = SyscallFault("leader", "sync", "kill", nth=3)
    kill = await inject(fault, running.in_force, Random(1))
    (leader,) = kill.members
    await put_until_dead(running, leader)
    assert running.system.ended_by_themselves() == (), "the harness has killed it"
    assert await running.put(await running.leader(other_than=leader))
    await kill.undo()
    assert running.system.alive(leader)
    await running.agreement()


@on_a_cluster
async def test_a_member_stops_at_a_failed_sync_and_restarts_when_the_fault_is_healed(
    running: Running,
) -> None:
    fault = SyscallFault("follower", "sync", "error", nth=2, times=1, error="EIO")
    failing = await inject(fault, running.in_force, Random(1))
    (follower,) = failing.members
    await put_until_dead(running, follower)
    (crash,) = running.system.ended_by_themselves()
    assert crash.member == follower
    await failing.undo()
    assert running.system.alive(follower)
    await running.agreement()


@on_etcd
async def test_a_member_that_restarts_during_the_fault_is_affected_again(running: Running) -> None:
    fault = SyscallFault("all", "sync", "delay", delay_ms=1)
    slow = await inject(fault, running.in_force, Random(1))
    kill = await running.in_force.stop_members("killed", ("n2",))
    await kill()
    assert tracer(running.system.pid("n2")) != "0"
    await slow.undo()
    assert tracer(running.system.pid("n2")) == "0"
    await running.agreement()


@on_etcd
async def test_counting_calls_does_not_resume_a_member_that_another_fault_pauses(
    running: Running,
) -> None:
    fault = SyscallFault("leader", "sync", "delay", nth=1_000, delay_ms=1)
    counting = await inject(fault, running.in_force, Random(1))
    (leader,) = counting.members
    assert await running.put(leader)
    pause = await inject(Pause(on=(leader,)), running.in_force, Random(1))
    assert not await running.put(leader, timeout_s=0.5)
    assert is_stopped(running.system.pid(leader) or 0)
    await pause.undo()
    await counting.undo()
    await running.agreement()


@on_etcd
async def test_a_second_tracer_of_a_member_is_refused_and_the_first_fault_stays(
    running: Running,
) -> None:
    slow = await inject(SyscallFault("all", delay_ms=1), running.in_force, Random(1))
    with pytest.raises(FaultError, match="strace cannot trace process"):
        await inject(SyscallFault("leader", delay_ms=1), running.in_force, Random(1))
    assert tracer(running.system.pid("n1")) != "0"
    await slow.undo()
    await running.agreement()


@pytest.mark.etcd
@pytest.mark.parametrize(("failpoint", "do", "visit"), [
    ("before_leader_wal", "crash", 1),
    ("after_leader_wal", "crash", 2),
    ("before_follower_wal", "pause", 3),
    ("before_leader_wal", "isolate", 2),
])
def test_a_member_of_stock_etcd_is_hit_at_a_step_of_the_write_path(
    failpoint: str, do: str, visit: int, tmp_path: Path
) -> None:
    async def main() -> None:
        async with cluster(Etcd, tmp_path) as running:
            fault = AtStep(
                failpoint, do, visit=visit,  # type: ignore[arg-type]
                target="follower" if "follower" in failpoint else "leader",
            )
            armed = await arm(fault, running.in_force, stream(1, "step"), sleep_ms=100)
            (member,) = armed.members
            reached = asyncio.ensure_future(armed.inject_when_reached())
            async with asyncio.timeout(20):
                while not reached.done():
                    await running.put("n1", timeout_s=0.3)
            injected = reached.result()
            assert injected.members == (member,)
            assert running.system.alive(member) == (do != "crash")
            if do == "isolate":
                assert injected.links
            if do == "pause":
                assert is_stopped(running.system.pid(member) or 0)
            if target_leads := (fault.target == "leader"):
                await running.leader(other_than=member)
            assert await running.put(await running.leader(member if target_leads else None))
            await injected.undo()
            assert tracer(running.system.pid(member)) == "0"
            await running.agreement()

    asyncio.run(main())


@on_etcd
async def test_a_step_is_armed_only_on_a_member_with_its_role(running: Running) -> None:
    for failpoint, target in (("before_leader_wal", "follower"), ("before_follower_wal", "leader")):
        fault = AtStep(failpoint, target=target)  # type: ignore[arg-type]
        with pytest.raises(FaultError, match="at this time"):
            await arm(fault, running.in_force, Random(1), sleep_ms=1)
