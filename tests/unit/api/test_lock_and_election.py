"""Locks and elections give each key its turn, in the order of creation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from splitbrain.node.api.v3_service import Api
from splitbrain.node.messages import election, lease, lock, rpc
from splitbrain.node.messages.errors import Code, RpcError
from tests.unit.api.lone_member import LoneMember


class Client:
    """A client of a member with the leases 1 to 4."""

    def __init__(self) -> None:
        self.member = LoneMember()
        self.api = Api(self.member)

    async def grant(self) -> None:
        for number in (1, 2, 3, 4):
            await self.ask("/v3/lease/grant", lease.LeaseGrantRequest(ttl=60, id=number))

    async def ask(self, method: str, request: object) -> Any:
        return await self.api.methods[method](request)

    def lock(self, number: int) -> asyncio.Task[Any]:
        return asyncio.ensure_future(self.ask("/v3/lock/lock", lock.LockRequest(b"a", number)))

    def campaign(self, number: int, value: bytes = b"") -> asyncio.Task[Any]:
        request = election.CampaignRequest(b"a", number, value)
        return asyncio.ensure_future(self.ask("/v3/election/campaign", request))

    async def revoke(self, number: int) -> None:
        await self.ask("/v3/lease/revoke", lease.LeaseRevokeRequest(number))

    def keys(self) -> list[bytes]:
        return [kv.key for kv in self.member.store.range(b"\0", b"\0").kvs]


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


Scenario = Callable[[Client], Awaitable[None]]


def play(scenario: Scenario) -> None:
    async def whole() -> None:
        client = Client()
        await client.grant()
        await scenario(client)

    asyncio.run(whole())


def test_a_lock_has_one_holder_at_a_time_in_the_order_of_the_requests() -> None:
    async def scenario(client: Client) -> None:
        first, second, third = [client.lock(number) for number in (1, 2, 3)]
        await settle()
        assert [one.done() for one in (first, second, third)] == [True, False, False]
        assert first.result().key == b"a/1"
        await client.ask("/v3/lock/unlock", lock.UnlockRequest(b"a/1"))
        await settle()
        assert [one.done() for one in (second, third)] == [True, False]
        await client.revoke(2)
        assert (await third).key == b"a/3"
        assert client.keys() == [b"a/3"]

    play(scenario)


def test_a_client_that_holds_the_lock_acquires_it_again_at_once() -> None:
    async def scenario(client: Client) -> None:
        first = await client.lock(1)
        again = await client.lock(1)
        assert (again.key, again.header.revision) == (first.key, first.header.revision)

    play(scenario)


def test_a_client_that_leaves_the_queue_deletes_its_key() -> None:
    async def scenario(client: Client) -> None:
        await client.lock(1)
        waiting = client.lock(2)
        await settle()
        assert client.keys() == [b"a/1", b"a/2"]
        waiting.cancel()
        await settle()
        await asyncio.gather(*client.member.spawned)
        assert client.keys() == [b"a/1"]

    play(scenario)


@pytest.mark.parametrize("service", ["lock", "campaign"])
def test_a_client_whose_lease_ended_while_it_waited_gets_no_turn(service: str) -> None:
    async def scenario(client: Client) -> None:
        await client.lock(1)
        waiting = getattr(client, service)(2)
        await settle()
        await client.revoke(2)
        await client.revoke(1)
        with pytest.raises(RpcError) as raised:
            await waiting
        assert raised.value == RpcError(Code.UNKNOWN, "mutex: session is expired")

    play(scenario)


def test_a_wait_continues_after_a_compaction() -> None:
    async def scenario(client: Client) -> None:
        await client.lock(1)
        waiting = client.lock(2)
        await client.ask("/v3/kv/put", rpc.PutRequest(key=b"x"))
        await client.ask("/v3/kv/compaction", rpc.CompactionRequest(client.member.store.revision))
        await settle()
        assert not waiting.done()
        await client.revoke(1)
        assert (await waiting).key == b"a/2"

    play(scenario)


def test_without_a_lease_the_member_grants_one() -> None:
    async def scenario(client: Client) -> None:
        held = await client.lock(0)
        assert held.key == b"a/%x" % 1001
        assert client.member.store.leases.get(1001) is not None

    play(scenario)


def test_a_leader_proclaims_until_another_one_follows() -> None:
    async def scenario(client: Client) -> None:
        first = await client.campaign(1, b"x")
        follower = client.campaign(2, b"y")
        await settle()
        proclaim = election.ProclaimRequest(first.leader, b"z")
        await client.ask("/v3/election/proclaim", proclaim)
        found = await client.ask("/v3/election/leader", election.LeaderRequest(b"a"))
        assert (found.kv.key, found.kv.value, found.kv.lease) == (b"a/1", b"z", 1)
        await client.ask("/v3/election/resign", election.ResignRequest(first.leader))
        second = await follower
        assert (second.leader.key, second.leader.lease) == (b"a/2", 2)
        with pytest.raises(RpcError, match="election: not leader"):
            await client.ask("/v3/election/proclaim", proclaim)
        await client.ask("/v3/election/resign", election.ResignRequest(first.leader))
        assert client.keys() == [b"a/2"]

    play(scenario)


def test_a_campaign_with_another_value_replaces_the_value() -> None:
    async def scenario(client: Client) -> None:
        first = await client.campaign(1, b"x")
        again = await client.campaign(1, b"y")
        assert again.leader == first.leader
        found = await client.ask("/v3/election/leader", election.LeaderRequest(b"a"))
        assert found.kv.value == b"y"

    play(scenario)


def test_an_observer_sees_each_leader_and_each_value() -> None:
    async def scenario(client: Client) -> None:
        seen: list[tuple[bytes, bytes]] = []

        async def observe() -> None:
            observed = client.api.streams["/v3/election/observe"](election.LeaderRequest(b"a"))
            async for one in observed:
                seen.append((one.kv.key, one.kv.value))

        observer = asyncio.ensure_future(observe())
        await settle()
        assert seen == []
        first = await client.campaign(1, b"x")
        await settle()
        second = client.campaign(2, b"y")
        await settle()
        await client.ask("/v3/election/proclaim", election.ProclaimRequest(first.leader, b"z"))
        await settle()
        await client.revoke(1)
        await second
        await settle()
        assert seen == [(b"a/1", b"x"), (b"a/1", b"z"), (b"a/2", b"y")]
        observer.cancel()

    play(scenario)


def test_errors_of_the_store_have_no_code_of_their_own() -> None:
    async def scenario(client: Client) -> None:
        for waiting in (client.lock(9), client.campaign(9)):
            with pytest.raises(RpcError) as raised:
                await waiting
            assert raised.value == RpcError(
                Code.UNKNOWN, "etcdserver: requested lease not found"
            )

    play(scenario)
