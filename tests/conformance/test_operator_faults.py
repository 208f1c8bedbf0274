"""The faults that are actions of an operator take effect on real members."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from splitbrain.nemesis.fault import OperatorAction
from splitbrain.nemesis.injection.all_injectors import inject
from tests.conformance.running_cluster import Running, on_etcd

pytestmark = pytest.mark.cluster


@on_etcd
async def test_the_leadership_moves_and_members_defragment_and_restart_one_by_one(
    running: Running,
) -> None:
    system, in_force = running.system, running.in_force
    leader = await running.leader()
    move = await inject(OperatorAction("follower", "move_leader"), in_force, Random(1))
    (target,) = move.members
    await move.undo()
    async with asyncio.timeout(10):
        while await system.leader() != target:
            await asyncio.sleep(0.05)
    assert target != leader

    for _ in range(5):
        assert await running.put(target, size_bytes=100_000)
    defragment = await inject(OperatorAction("all", "defragment"), in_force, Random(1))
    await defragment.undo()
    logs = [system.log_path(member).read_text() for member in system.members]
    assert all("finished defragment" in log for log in logs)

    pids = {member: system.pid(member) for member in system.members}
    snapshot = await inject(OperatorAction("leader", "snapshot"), in_force, Random(1))
    await snapshot.undo()
    assert "sending database snapshot to client" in system.log_path(target).read_text()
    assert pids == {member: system.pid(member) for member in system.members}
    restart = await inject(OperatorAction("all", "restart"), in_force, Random(1))
    await restart.undo()
    assert all(system.alive(one) and system.pid(one) != pids[one] for one in system.members)
    assert system.ended_by_themselves() == ()
    # The members of etcd 3.5.1 may have different revisions now, which is a bug of etcd.
    assert await running.put(await running.leader())
