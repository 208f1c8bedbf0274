"""Keep-alives and queries are answered by the primary, whichever member is asked."""

from __future__ import annotations

import asyncio

import pytest

from splitbrain.node.lease.keep_alive import LeaseService
from splitbrain.node.lease.lessor import Lessor
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.lease import LeaseCheckpointRequest, LessorRequest
from splitbrain.node.mvcc.lease_table import LeaseTable
from splitbrain.node.storage.memory_backend import MemoryBackend
from tests.unit.lease.manual_clock import ManualClock


class MemberOfTests:
    """A member with a service. `leads(term)` makes it leader and primary."""

    def __init__(self, number: int, clock: ManualClock) -> None:
        self.id = number
        self.clock = clock
        self.term = 0
        self.leader = 0
        self.peers: dict[int, MemberOfTests] = {}
        self.table = LeaseTable(MemoryBackend())
        self.at_barrier: list[object] = []
        """What happens during the next read barriers: a term, or an error."""
        self.replicated: list[LessorRequest] = []
        self.lessor = Lessor(
            clock=clock, table=self.table, leading_term=lambda: self.term,
            propose=lambda _request: None, extension_s=1.0, checkpoint_interval_s=300,
        )
        self.service = LeaseService(
            clock=clock, member_id=number, timeout_s=5.0, ttl_s_min=2, table=self.table,
            lessor=self.lessor, leader=lambda: self.leader, new_id=lambda: (1 << 63) + 5,
            read_barrier=self._barrier, replicate=self._replicate, ask=self._ask,
        )

    def leads(self, term: int) -> None:
        self.term, self.leader = term, self.id
        self.lessor.first_entry_applied(term)

    async def _barrier(self) -> None:
        found = self.at_barrier.pop(0) if self.at_barrier else None
        if isinstance(found, RpcError):
            raise found
        if isinstance(found, int):
            self.term = found
            self.lessor.role_changed()

    async def _replicate(self, request: LessorRequest) -> None:
        self.replicated.append(request)
        assert isinstance(request, LeaseCheckpointRequest)
        for one in request.checkpoints:
            self.table.record_remaining(one.id, one.remaining_s)

    async def _ask(self, peer: int, data: bytes, _timeout_s: float) -> bytes:
        return await self.peers[peer].service.answer_peer(data)


def leader_and_follower() -> tuple[MemberOfTests, MemberOfTests]:
    clock = ManualClock()
    leader, follower = MemberOfTests(1, clock), MemberOfTests(2, clock)
    follower.peers[1], leader.peers[2] = leader, follower
    follower.leader = 1
    leader.leads(3)
    for member in (leader, follower):
        member.table.grant(7, 10)
        member.table.attach(b"b", 7)
        member.table.attach(b"a", 7)
    return leader, follower


@pytest.mark.parametrize("asked", [0, 1])
def test_any_member_renews_a_lease_at_the_primary(asked: int) -> None:
    members = leader_and_follower()
    clock = members[0].clock
    clock.advance(6)
    assert asyncio.run(members[asked].service.keep_alive(7)) == 10
    clock.advance(6)
    found = asyncio.run(members[asked].service.time_to_live(7, keys=True))
    assert (found.id, found.ttl, found.granted_ttl, found.keys) == (7, 4, 10, (b"a", b"b"))


@pytest.mark.parametrize("asked", [0, 1])
def test_an_unknown_lease_is_not_renewed(asked: int) -> None:
    members = leader_and_follower()
    assert asyncio.run(members[asked].service.keep_alive(8)) == 0
    found = asyncio.run(members[asked].service.time_to_live(8, keys=False))
    assert (found.id, found.ttl, found.granted_ttl) == (8, -1, 0)


def test_a_leader_that_is_deposed_during_the_barrier_does_not_answer() -> None:
    leader, _ = leader_and_follower()
    leader.at_barrier = [0]
    with pytest.raises(RpcError) as raised:
        asyncio.run(leader.service.keep_alive(7))
    assert raised.value == errors.timed_out()


def test_without_a_leader_the_request_times_out() -> None:
    _, follower = leader_and_follower()
    follower.leader = 0
    with pytest.raises(RpcError) as raised:
        asyncio.run(follower.service.time_to_live(7, keys=False))
    assert raised.value == errors.timed_out()


def test_an_error_of_the_barrier_is_the_error_of_the_request() -> None:
    leader, _ = leader_and_follower()
    leader.at_barrier = [errors.timed_out()]
    with pytest.raises(RpcError):
        asyncio.run(leader.service.keep_alive(7))


def test_a_renewal_of_an_expired_lease_waits_for_its_end() -> None:
    async def renew() -> int:
        leader, _ = leader_and_follower()
        leader.clock.advance(10.2)
        renewal = asyncio.ensure_future(leader.service.keep_alive(7))
        await asyncio.sleep(0)
        assert not renewal.done()
        leader.table.attach(b"a", 0)
        leader.table.attach(b"b", 0)
        leader.table.remove(7)
        return await renewal

    assert asyncio.run(renew()) == 0


def test_a_renewal_replaces_the_recorded_time_first() -> None:
    leader, _ = leader_and_follower()
    leader.table.record_remaining(7, 4)
    assert asyncio.run(leader.service.keep_alive(7)) == 10
    assert len(leader.replicated) == 1
    lease = leader.table.get(7)
    assert lease is not None
    assert lease.recorded_s == 10


def test_a_new_id_is_positive() -> None:
    leader, _ = leader_and_follower()
    assert leader.service.new_id() == 5
