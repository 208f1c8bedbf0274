"""Implements the queue of keys in which clients of locks and elections wait for their turn.

Each waiting client has a key `NAME/LEASE` that is attached to its lease. The first key is the key
with the lowest create revision, and its client has the turn. The turn ends when the key is deleted.
A key is deleted at the latest when its lease ends.

Source: etcd's `client/v3/concurrency` (`mutex.go`, `election.go`, `key.go`).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from splitbrain.node.api.lease_service import LeaseHandlers
from splitbrain.node.api.member_interface import MemberPort
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
"""The time to live, in seconds, of the lease that the member creates if a request names no lease.

Source: etcd's defaultSessionTTL.
"""

WITHDRAWAL = "withdraw"
"""The name of the task that deletes the key of a client that has left a queue."""

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class KvHandlers(Protocol):
    """The methods of the KV service that the queue uses."""

    async def range(self, request: RangeRequest) -> RangeResponse: ...

    async def delete_range(self, request: DeleteRangeRequest) -> DeleteRangeResponse: ...

    async def txn(self, request: TxnRequest) -> TxnResponse: ...


def as_client_error(problem: RpcError) -> RpcError:
    """Return an error with the message of `problem` and the code UNKNOWN.

    etcd's Lock and Election services use etcd's own client, whose errors lose their code.
    """
    return RpcError(Code.UNKNOWN, problem.message)


def with_client_errors(
    handle: Callable[[Asked], Awaitable[Answered]],
) -> Callable[[Asked], Awaitable[Answered]]:
    """Return a handler that calls `handle` and converts its errors with `as_client_error`."""

    @functools.wraps(handle)
    async def handle_or_fail(request: Asked) -> Answered:
        try:
            return await handle(request)
        except RpcError as problem:
            raise as_client_error(problem) from problem

    return handle_or_fail


@dataclass(frozen=True, slots=True)
class Place:
    """The result of joining a queue.

    `header` is the header of the transaction with which the client joined. `existing` is the
    client's key before this transaction, or None if the transaction created the key. `is_first` is
    True if it is the client's turn already.
    """

    key: bytes
    create_revision: int
    header: ResponseHeader
    existing: KeyValue | None
    is_first: bool


class WaitQueue:
    """A queue of waiting keys. `name` is the prefix of its keys, without the "/" at the end."""

    def __init__(self, member: MemberPort, kv: KvHandlers, name: bytes) -> None:
        self._member = member
        self._kv = kv
        self.prefix = name + b"/"

    async def join(self, lease: int, value: bytes = b"") -> Place:
        """Create the key of `lease` with `value`, unless the key exists. Raises RpcError."""
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
        """Return the range request that finds the key whose turn it is."""
        return self._newest_or_oldest(SortOrder.ASCEND)

    async def wait_for_turn(self, place: Place) -> ResponseHeader:
        """Wait until all earlier keys are deleted, and return the header of a read after that.

        If all earlier keys were deleted already when the client joined, the result is the header of
        `place`.

        Raises RpcError if the wait fails, or if the client's key is gone because its lease has
        ended. If the wait fails or is cancelled, the client's key is deleted.
        """
        if place.is_first:
            return place.header
        key, create_revision = place.key, place.create_revision
        try:
            await self._until_earlier_are_deleted(create_revision)
            own = await self._kv.range(RangeRequest(key=key))
        except asyncio.CancelledError:
            # The client has disconnected. A task of the member deletes the key, because this
            # request ends now.
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
        """Delete `key` if its create revision is `create_revision`. Raises RpcError.

        The condition protects a key that was deleted and created again in the meantime.
        """
        return await self._kv.txn(
            if_created_at(key, create_revision, DeleteRangeRequest(key=key))
        )

    async def changes(
        self, key: bytes, range_end: bytes, revision: int, *, no_put: bool = False
    ) -> AsyncGenerator[WatchBatch, None]:
        """Yield the changes of an interval of keys, from `revision` on.

        With `no_put`, only deletions are yielded. The iterator ends if `revision` is compacted.
        """
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
    """Return a transaction that runs `then` and `others` if `key` has this create revision."""
    condition = Compare(key=key, target=CompareTarget.CREATE, operand=create_revision)
    return TxnRequest(compare=(condition,), success=(then, *others))


async def session_of(leases: LeaseHandlers, lease: int) -> int:
    """Return `lease`. If it is 0, create a lease and return its id. Raises RpcError."""
    if lease:
        return lease
    return (await leases.grant(LeaseGrantRequest(ttl=SESSION_TTL_S))).id


def first_key(response: object) -> KeyValue | None:
    """Return the first key in the response to a range, or None if it contains no key."""
    assert isinstance(response, RangeResponse)
    return response.kvs[0] if response.kvs else None
