"""A queue of keys that wait for their turn, as locks and elections use it.

Each waiting client has a key `NAME/LEASE` that is attached to its lease. The turn of a key begins
when the queue contains no key with a lower create revision. It ends when the key is deleted, at the
latest with its lease.

Source: etcd's `client/v3/concurrency` (`mutex.go`, `election.go`, `key.go`).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from splitbrain.node.api.lease_service import LeaseHandlers
from splitbrain.node.api.ports import MemberPort
from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.messages.lease import LeaseGrantRequest
from splitbrain.node.messages.rpc import (
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    DeleteRangeResponse,
    PutRequest,
    RangeRequest,
    RangeResponse,
    RequestOp,
    ResponseHeader,
    SortOrder,
    SortTarget,
    TxnRequest,
    TxnResponse,
)
from splitbrain.node.mvcc.key_value import KeyValue
from splitbrain.node.mvcc.watch import WatchBatch

SESSION_TTL_S = 60
"""The time to live of the lease that a client gets if its request has none.

Source: etcd's defaultSessionTTL.
"""

WITHDRAWAL = "withdraw"
"""The name of the task that deletes the key of a client that has left a queue."""

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class KvHandlers(Protocol):
    """The KV service of the member."""

    async def range(self, request: RangeRequest) -> RangeResponse: ...

    async def delete_range(self, request: DeleteRangeRequest) -> DeleteRangeResponse: ...

    async def txn(self, request: TxnRequest) -> TxnResponse: ...


def as_client_error(problem: RpcError) -> RpcError:
    """Return `problem` with the code UNKNOWN.

    etcd's Lock and Election services use etcd's own client, whose errors lose their code.
    """
    return RpcError(Code.UNKNOWN, problem.message)


def with_client_errors(
    handle: Callable[[Asked], Awaitable[Answered]],
) -> Callable[[Asked], Awaitable[Answered]]:
    """Return `handle`, whose errors are converted by `as_client_error`."""

    @functools.wraps(handle)
    async def handle_or_fail(request: Asked) -> Answered:
        try:
            return await handle(request)
        except RpcError as problem:
            raise as_client_error(problem) from problem

    return handle_or_fail


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a client in a queue.

    `header` is that of the transaction in which the client joined the queue. `existing` is its key
    before that, or None if the transaction created the key. `is_first` is True if it was the
    client's turn at once.
    """

    key: bytes
    create_revision: int
    header: ResponseHeader
    existing: KeyValue | None
    is_first: bool


class WaitQueue:
    """The queue `name` at one member."""

    def __init__(self, member: MemberPort, kv: KvHandlers, name: bytes) -> None:
        self._member = member
        self._kv = kv
        self.prefix = name + b"/"

    async def join(self, lease: int, value: bytes = b"") -> Place:
        """Create the key of `lease` with `value`, unless it exists. Raises RpcError."""
        key = self.prefix + f"{lease:x}".encode()
        create = if_created_at(
            key, 0, PutRequest(key=key, value=value, lease=lease), self.first()
        )
        response = await self._kv.txn(
            TxnRequest(
                compare=create.compare,
                success=create.success,
                failure=(RangeRequest(key=key), self.first()),
            )
        )
        existing = None if response.succeeded else first_key(response.responses[0])
        created = response.header.revision if existing is None else existing.create_revision
        oldest = first_key(response.responses[1])
        is_first = oldest is None or oldest.create_revision == created
        return Place(
            key, created, response.header, existing=existing, is_first=is_first
        )

    def first(self) -> RangeRequest:
        """Return the request for the key whose turn it is."""
        return self._newest_or_oldest(SortOrder.ASCEND)

    async def wait_for_turn(self, place: Place) -> ResponseHeader:
        """Wait until all earlier keys are deleted, and return the header of a read after that.

        If the wait fails or is cancelled, the key is withdrawn. Raises RpcError.
        """
        if place.is_first:
            return place.header
        key, create_revision = place.key, place.create_revision
        try:
            await self._until_earlier_are_deleted(create_revision)
            own = await self._kv.range(RangeRequest(key=key))
        except asyncio.CancelledError:
            # The client has left. The key is deleted after the request has ended.
            self._member.spawn(self._withdraw(key, create_revision), WITHDRAWAL)
            raise
        except RpcError:
            await self._withdraw(key, create_revision)
            raise
        # The lease may have ended while the client waited.
        if not own.kvs or own.kvs[0].create_revision != create_revision:
            raise RpcError(Code.UNKNOWN, "mutex: session is expired")
        return own.header

    async def delete_if_created_at(self, key: bytes, create_revision: int) -> TxnResponse:
        """Delete `key`, unless it was deleted and created again. Raises RpcError."""
        return await self._kv.txn(
            if_created_at(key, create_revision, DeleteRangeRequest(key=key))
        )

    async def changes(
        self, key: bytes, range_end: bytes, revision: int, *, no_put: bool = False
    ) -> AsyncGenerator[WatchBatch, None]:
        """Yield the changes of an interval from `revision` on, until they are compacted."""
        watches = self._member.store.watches
        watcher = watches.create(key, range_end, start_revision=revision, no_put=no_put)
        try:
            while (batch := await watcher.next_batch()) is not None and not batch.compact_revision:
                yield batch
        finally:
            watches.cancel(watcher)

    async def _until_earlier_are_deleted(self, create_revision: int) -> None:
        """Wait until the queue contains no key with a lower create revision."""
        last = self._newest_or_oldest(SortOrder.DESCEND, create_revision - 1)
        while (found := await self._kv.range(last)).kvs:
            key = found.kvs[0].key
            deletions = self.changes(key, b"", found.header.revision + 1, no_put=True)
            async for _ in deletions:
                break
            await deletions.aclose()

    async def _withdraw(self, key: bytes, create_revision: int) -> None:
        try:
            await self.delete_if_created_at(key, create_revision)
        except RpcError:
            return  # the key is deleted with its lease

    def _newest_or_oldest(self, order: SortOrder, create_revision_max: int = 0) -> RangeRequest:
        return RangeRequest(
            key=self.prefix,
            range_end=end_of_prefix(self.prefix),
            limit=1,
            sort_order=order,
            sort_target=SortTarget.CREATE,
            max_create_revision=create_revision_max,
        )


def end_of_prefix(prefix: bytes) -> bytes:
    """Return the end of the interval of all keys with a prefix. The prefix ends with "/"."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def if_created_at(
    key: bytes, create_revision: int, then: RequestOp, *others: RequestOp
) -> TxnRequest:
    """Return a transaction that runs `then` and `others` if `key` was created at this revision."""
    condition = Compare(key=key, target=CompareTarget.CREATE, operand=create_revision)
    return TxnRequest(compare=(condition,), success=(then, *others))


async def session_of(leases: LeaseHandlers, lease: int) -> int:
    """Return `lease`, or a new lease if it is 0. Raises RpcError."""
    if lease:
        return lease
    return (await leases.grant(LeaseGrantRequest(ttl=SESSION_TTL_S))).id


def first_key(response: object) -> KeyValue | None:
    """Return the first key in the answer to a range."""
    assert isinstance(response, RangeResponse)
    return response.kvs[0] if response.kvs else None
