"""Answers keep-alives and queries of leases, which only the leader's lessor can answer.

The lessor with the expiry times is called the *primary* (`splitbrain.node.lease.lessor`). Every
member accepts these requests. A member that is not the leader forwards them to the leader, over the
connections between members (`splitbrain.node.peer_calls`).

Before the primary answers, it does two things:

- It waits until a majority has confirmed that it is still the leader. Otherwise a deposed leader
  could renew a lease that the new leader lets expire.
- It applies all entries that were committed when the request arrived. Otherwise it could renew a
  lease that was revoked.

etcd does not confirm leadership for a keep-alive. Since 3.5.23, etcd's leader at least waits until
it has applied all entries that it knows to be committed.

Source: etcd's `server/etcdserver/v3_server.go` (LeaseRenew, LeaseTimeToLive).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from splitbrain.node.lease.lessor import Lessor
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.lease import (
    LeaseCheckpoint,
    LeaseCheckpointRequest,
    LeaseTimeToLiveResponse,
    LessorRequest,
)
from splitbrain.node.mvcc.lease_table import Lease, LeaseTable
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.raft.message import MemberId
from splitbrain.node.waiting_requests import Deadline
from splitbrain.node.world import Clock

RETRY_S = 0.05
"""The pause between two tries to get an answer. Source: etcd's LeaseRenew."""
CALL_TIMEOUT_S = 0.5
"""The time after which a forwarded request without an answer is sent again."""


class Question(msgspec.Struct, frozen=True, array_like=True):
    """A request that a member forwards to the leader: a keep-alive or a query of one lease."""

    kind: Literal["keep_alive", "time_to_live"]
    lease_id: int
    keys: bool = False


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The answer to a `Question`. `exists` is False if there is no such lease."""

    exists: bool
    granted_s: int = 0
    remaining_s: int = 0
    keys: tuple[bytes, ...] = ()


class NotPrimary(Exception):
    """This member is not, or no longer, the primary. The request can be sent to the leader."""


class LeaseService:
    """Handles keep-alives and queries of leases, which need no entry in the log.

    `leader()` returns the leader's id, or 0 if it is unknown. `ask` sends a question to another
    member and returns the answer; it raises ConnectionError. `read_barrier` waits until this member
    has applied all entries that were committed at the call. `replicate` is called on the leader: it
    proposes a request, and waits until the request is applied.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        member_id: MemberId,
        timeout_s: float,
        ttl_s_min: int,
        table: LeaseTable,
        lessor: Lessor,
        leader: Callable[[], MemberId],
        new_id: Callable[[], int],
        read_barrier: Callable[[], Awaitable[None]],
        replicate: Callable[[LessorRequest], Awaitable[None]],
        ask: Callable[[MemberId, bytes, float], Awaitable[bytes]],
    ) -> None:
        self._clock = clock
        self._member_id = member_id
        self._timeout_ns = round(timeout_s * 1e9)
        self.ttl_s_min = ttl_s_min
        """The shortest time to live. A shorter one in a grant is raised to it."""
        self._table = table
        self._lessor = lessor
        self._leader = leader
        self._new_id = new_id
        self._read_barrier = read_barrier
        self._replicate = replicate
        self._ask = ask
        self._waits = Deadline(clock, timeout_s, errors.timed_out)

    # --- requests of clients ------------------------------------------------------

    def new_id(self) -> int:
        """Return a positive random id for a lease. This member has not returned it before."""
        return self._new_id() & (1 << 63) - 1

    async def keep_alive(self, lease_id: int) -> int:
        """Renew a lease, and return its time to live in seconds, or 0 if the lease does not exist.

        Raises RpcError.
        """
        answer = await self._answered(Question("keep_alive", lease_id))
        return answer.granted_s if answer.exists else 0

    async def time_to_live(self, lease_id: int, *, keys: bool) -> LeaseTimeToLiveResponse:
        """Return the remaining time of a lease, and its keys if `keys` is True. Raises RpcError.

        The response has no header.
        """
        answer = await self._answered(Question("time_to_live", lease_id, keys))
        if not answer.exists:
            return LeaseTimeToLiveResponse(id=lease_id, ttl=-1)
        return LeaseTimeToLiveResponse(
            id=lease_id, ttl=answer.remaining_s, granted_ttl=answer.granted_s, keys=answer.keys
        )

    def leases(self) -> list[int]:
        """Return the ids of the leases in this member's store.

        The leader's store may already contain newer leases.
        """
        return self._lessor.by_expiry()

    # --- questions of other members -----------------------------------------------

    async def answer_peer(self, data: bytes) -> bytes:
        """As the primary, answer a request that another member has forwarded.

        Raises ConnectionError if this member cannot answer.
        """
        try:
            answer = await self._answer(msgspec.msgpack.decode(data, type=Question))
        except (NotPrimary, RpcError, msgspec.MsgspecError) as problem:
            raise ConnectionError(str(problem)) from problem
        return msgspec.msgpack.encode(answer)

    # --- answering ----------------------------------------------------------------

    async def _answered(self, question: Question) -> Answer:
        """Get the answer from the primary, which is this member or the leader. Raises RpcError.

        The request is tried again until the timeout of requests has passed.
        """
        give_up_ns = self._clock.monotonic_ns() + self._timeout_ns
        while True:
            try:
                leader = self._leader()
                if leader == self._member_id:
                    return await self._answer(question)
                if leader:
                    data = await self._ask(
                        leader, msgspec.msgpack.encode(question), CALL_TIMEOUT_S
                    )
                    return msgspec.msgpack.decode(data, type=Answer)
            except (NotPrimary, ConnectionError):
                pass
            if self._clock.monotonic_ns() >= give_up_ns:
                raise errors.timed_out()
            await self._clock.sleep(RETRY_S)

    async def _answer(self, question: Question) -> Answer:
        """As the primary, answer a question.

        Raises NotPrimary if this member is not the primary. Raises RpcError for other errors.
        """
        term = self._lessor.primary_term
        if not term:
            raise NotPrimary
        try:
            await self._read_barrier()
        except RpcError as problem:
            self._check_primary(term)
            raise problem
        self._check_primary(term)
        if question.kind == "keep_alive":
            return await self._renew(question.lease_id, term)
        lease = self._table.get(question.lease_id)
        if lease is None:
            return Answer(exists=False)
        keys = tuple(sorted(lease.keys)) if question.keys else ()
        return Answer(True, lease.ttl_s, self._lessor.remaining_s(lease), keys)

    def _check_primary(self, term: int) -> None:
        """Raise NotPrimary unless this member is still the primary of `term`."""
        if self._lessor.primary_term != term:
            raise NotPrimary

    async def _renew(self, lease_id: int, term: int) -> Answer:
        """Renew a lease. If it does not exist, the field `exists` of the answer is False.

        If the lease has expired, but is not yet deleted, wait until it is deleted.

        If a checkpoint has recorded a shorter remaining time, record the whole time to live first.
        Otherwise a new leader would restart the lease with the shorter time.
        """
        lessor = self._lessor
        while (lease := self._table.get(lease_id)) is not None:
            if lessor.has_expired(lease_id):
                await self._until_ended(lease_id)
            elif lessor.is_recorded(lease):
                await self._forget_remaining(lease, term)
            else:
                lessor.renew(lease)
                return Answer(True, lease.ttl_s, lease.ttl_s)
            self._check_primary(term)
        return Answer(exists=False)

    async def _until_ended(self, lease_id: int) -> None:
        future = self._lessor.ended(lease_id)
        self._waits.register(future)  # type: ignore[arg-type]
        try:
            await future
        finally:
            self._waits.release(future)  # type: ignore[arg-type]

    async def _forget_remaining(self, lease: Lease, term: int) -> None:
        try:
            await self._replicate(LeaseCheckpointRequest((LeaseCheckpoint(lease.id, 0),), term))
        except ProposalDropped as dropped:
            raise errors.too_many_requests() from dropped
