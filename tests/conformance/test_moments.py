"""Real members show the events, such as an election, for which a fault can wait."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from splitbrain.nemesis.capabilities import HasMoments
from tests.conformance.running_cluster import Running, on_a_cluster, on_etcd

pytestmark = pytest.mark.cluster


@on_a_cluster
async def test_an_election_and_a_connection_are_counted(running: Running) -> None:
    system = running.system
    assert isinstance(system, HasMoments)
    leader = await running.leader()
    elections = system.occurrences("election")
    assert elections
    await system.kill(leader)
    await running.leader(other_than=leader)
    async with asyncio.timeout(5):
        while (system.occurrences("election") or 0) <= elections:
            await asyncio.sleep(0.01)
    await system.restart(leader)

    before = system.occurrences("connection")
    assert before is not None
    member = await running.leader()
    url = system.address(member).client_url + "/health"
    async with aiohttp.ClientSession() as session, session.get(url):
        assert (system.occurrences("connection") or 0) > before


@on_etcd
async def test_compactions_and_defragmentations_of_etcd_are_counted(running: Running) -> None:
    system, leader = running.system, await running.leader()
    assert await running.put(leader)
    assert system.occurrences("compaction") == system.occurrences("defragmentation") == 0
    url = system.address(leader).client_url + "/v3/kv/compaction"
    async with running.session.post(url, json={"revision": "2", "physical": True}) as response:
        assert response.status == 200
    await system.maintain(leader, "defragment")
    assert (system.occurrences("compaction") or 0) >= 1
    assert system.occurrences("defragmentation") == 1
