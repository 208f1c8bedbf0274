"""Authentication, alarms and quotas change what members answer, until the fault is healed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.etcd_like.python_node import PythonNode
from splitbrain.harness.systems.schedule_support import refuse_unsupported
from splitbrain.nemesis.fault import Authentication, Kill, NoSpace
from splitbrain.nemesis.injection.all_injectors import inject
from tests.conformance.running_cluster import Running, cluster, on_etcd

pytestmark = pytest.mark.cluster


async def until_put(running: Running, *, acknowledged: bool, size_bytes: int = 0) -> None:
    """Put new keys until one is acknowledged, or until one is not."""
    async with asyncio.timeout(25):
        while await running.put("n1", 2, size_bytes) is not acknowledged:
            await asyncio.sleep(0.05)


@on_etcd
async def test_requests_without_a_user_are_refused_while_authentication_is_enabled(
    running: Running,
) -> None:
    await refuses_without_a_user(running)


@on_etcd
async def test_a_store_with_the_alarm_refuses_puts_until_the_alarm_is_cleared(
    running: Running,
) -> None:
    await refuses_puts_by_the_alarm(running)


@on_etcd
async def test_a_member_whose_quota_is_used_up_raises_the_alarm(running: Running) -> None:
    await raises_the_alarm(running)


def test_members_of_this_project_have_the_faults_of_administration(tmp_path: Path) -> None:
    async def main() -> None:
        flags = ("--password-cost", "4")
        async with cluster(PythonNode, tmp_path, flags=flags, members=("n1",)) as running:
            await refuses_without_a_user(running)
            await refuses_puts_by_the_alarm(running)
            await raises_the_alarm(running)

    asyncio.run(asyncio.wait_for(main(), 120))


async def answer_of(running: Running, url: str) -> str:
    async with running.session.post(url, json={"key": "aw=="}) as answer:
        return await answer.text()


async def refuses_without_a_user(running: Running) -> None:
    assert await running.put("n1")
    fault = await inject(Authentication(changes=True, on=("n1",)), running.in_force, Random(1))
    await until_put(running, acknowledged=False)
    url = running.system.address("n1").client_url + "/v3/kv/put"
    async with asyncio.timeout(25):
        while "user name is empty" not in await answer_of(running, url):
            await asyncio.sleep(0.05)
    kill = await inject(Kill(on=tuple(running.system.members[-1:])), running.in_force, Random(1))
    await kill.undo()
    await fault.undo()
    await until_put(running, acknowledged=True)
    await running.agreement()


async def refuses_puts_by_the_alarm(running: Running) -> None:
    assert await running.put("n1")
    fault = await inject(NoSpace(do="alarm", on=("n1",)), running.in_force, Random(1))
    await until_put(running, acknowledged=False)
    assert not await running.put("n1", timeout_s=2)
    await fault.undo()
    await until_put(running, acknowledged=True)
    await running.agreement()


async def raises_the_alarm(running: Running) -> None:
    assert await running.put("n1", size_bytes=200_000)
    fault = await inject(NoSpace(do="quota", on=("n1",)), running.in_force, Random(1))
    await until_put(running, acknowledged=False, size_bytes=100_000)
    await fault.undo()
    await until_put(running, acknowledged=True)
    async with asyncio.timeout(20):
        while not await running.put("n1", size_bytes=100_000):
            pass
    await running.agreement()


def test_a_fault_is_refused_with_the_workload_that_judges_what_it_changes() -> None:
    for kind, workload in (("auth", "auth"), ("space", "limits")):
        options = Options(system="etcd", nemesis=(kind,), workload=workload, seed=1)
        with pytest.raises(BadArguments, match=f"the fault {kind} changes what the workload"):
            refuse_unsupported(draw_schedule(options))
