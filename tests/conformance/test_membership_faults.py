"""Members of processes are replaced, and the leadership is moved, by faults."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.errors import SystemFailed
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import LeaderTransfer, MembershipChange
from splitbrain.nemesis.injection.all_injectors import inject
from tests.conformance.running_cluster import Running, on_a_cluster

pytestmark = pytest.mark.cluster

ROOT, PASSWORD = "root", "secret"
LIMIT_S = 40.0
"""etcd refuses changes for 5 s after a connection between members has begun."""


@on_a_cluster
async def test_a_member_is_replaced_by_a_learner_that_is_promoted(running: Running) -> None:
    system, in_force = running.system, running.in_force
    leader = await running.leader()
    assert await running.put(leader)
    (place, other) = [one for one in system.members if one != leader]
    before = await system.list_members(leader)
    async with asyncio.timeout(LIMIT_S):
        fault = MembershipChange(do="replace", learner=True, on=(place,))
        replaced = await inject(fault, in_force, Random(1))
        await replaced.undo()
    assert replaced.effect() == f"removed {place}"
    after = await system.list_members(place)
    assert {*after} == {*before}
    assert after[place].id != before[place].id
    assert after[other] == before[other]
    assert not any(one.is_learner for one in after.values())
    assert await running.put(place)

    moved = await inject(LeaderTransfer(on=(place,)), in_force, Random(1))
    async with asyncio.timeout(10):
        while await system.leader() != place:
            await asyncio.sleep(0.05)
    await moved.undo()


async def enable_authentication(running: Running, member: str) -> None:
    requests = {
        "user/add": {"name": ROOT, "password": PASSWORD},
        "user/grant": {"user": ROOT, "role": ROOT},
        "enable": {},
    }
    for path, request in requests.items():
        url = f"{running.system.address(member).client_url}/v3/auth/{path}"
        async with running.session.post(url, json=request) as answer:
            assert answer.status == 200, await answer.text()


@on_a_cluster
async def test_a_store_with_authentication_accepts_changes_of_an_administrator(
    running: Running,
) -> None:
    system = running.system
    member = await running.leader()
    listed = await system.list_members(member)
    await enable_authentication(running, member)
    with pytest.raises(FaultError, match="user name is empty"):
        await system.update_member(member, member, listed[member])
    with pytest.raises(SystemFailed, match="user name is empty"):
        await system.maintain(member, "defragment")
    system.administrator = Administrator(ROOT, PASSWORD)
    await system.update_member(member, member, listed[member])
    await system.maintain(member, "defragment")
