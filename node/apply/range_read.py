"""Executes a client's range request on the store, with its filters, sort order and limit.

Source: etcd 3.5.1, `applierV3backend.Range` in `server/etcdserver/apply.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from splitbrain.node.messages.rpc import (
    RangeRequest,
    RangeResponse,
    ResponseHeader,
    SortOrder,
    SortTarget,
)
from splitbrain.node.mvcc.key_value import KeyValue, RangeResult


class Readable(Protocol):
    """A source of keys: the store, or a write transaction, which also reads its own writes."""

    def range(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        revision: int = 0,
        limit: int = 0,
        count_only: bool = False,
    ) -> RangeResult: ...


def read_range(source: Readable, request: RangeRequest) -> RangeResponse:
    """Read a range. The header of the response contains only the revision.

    Raises CompactedRevision, FutureRevision.
    """
    found = source.range(
        request.key,
        request.range_end,
        revision=max(request.revision, 0),
        limit=fetch_limit(request),
        count_only=request.count_only,
    )
    kvs = sorted_kvs([kv for kv in found.kvs if passes(request, kv)], request)
    more = 0 < request.limit < len(kvs)
    if more:
        kvs = kvs[: request.limit]
    if request.keys_only:
        kvs = [replace(kv, value=b"") for kv in kvs]
    return RangeResponse(
        header=ResponseHeader(revision=found.revision),
        kvs=tuple(kvs),
        more=more,
        count=found.count,
    )


def fetch_limit(request: RangeRequest) -> int:
    """Return the number of keys to read from the store for a request (0: all).

    - If the range has a sort order or a filter, or no limit, all keys are read.
    - Otherwise the result is the limit plus one. One more key shows whether the response is
      complete.

    As in etcd, a range that has a sort target but no sort order belongs to the second case. It is
    first cut to its limit and then sorted.
    """
    filtered = (
        request.min_mod_revision
        or request.max_mod_revision
        or request.min_create_revision
        or request.max_create_revision
    )
    if request.sort_order != SortOrder.NONE or filtered or request.limit <= 0:
        return 0
    return request.limit + 1


def passes(request: RangeRequest, kv: KeyValue) -> bool:
    """Return whether `kv` passes the request's bounds of mod revision and create revision.

    A bound of zero has no effect. Other bounds are inclusive.
    """
    return (
        (request.max_mod_revision == 0 or kv.mod_revision <= request.max_mod_revision)
        and (request.min_mod_revision == 0 or kv.mod_revision >= request.min_mod_revision)
        and (request.max_create_revision == 0 or kv.create_revision <= request.max_create_revision)
        and (request.min_create_revision == 0 or kv.create_revision >= request.min_create_revision)
    )


_SORT_KEYS: dict[int, Callable[[KeyValue], bytes | int]] = {
    SortTarget.KEY: lambda kv: kv.key,
    SortTarget.VERSION: lambda kv: kv.version,
    SortTarget.CREATE: lambda kv: kv.create_revision,
    SortTarget.MOD: lambda kv: kv.mod_revision,
    SortTarget.VALUE: lambda kv: kv.value,
}


def sorted_kvs(kvs: list[KeyValue], request: RangeRequest) -> list[KeyValue]:
    """Return `kvs` in the sort order that the request asks for.

    The sort order NONE means ascending order if the sort target is not the key. With an unknown
    sort order, `kvs` is returned unchanged.

    Elements with equal sort keys stay in key order. etcd 3.5.1 can return them in another order,
    because its sort is not stable for seven or more keys.
    """
    order = request.sort_order
    if order == SortOrder.NONE and request.sort_target != SortTarget.KEY:
        order = SortOrder.ASCEND
    if order not in (SortOrder.ASCEND, SortOrder.DESCEND):
        return kvs
    key = _SORT_KEYS[request.sort_target]
    return sorted(kvs, key=key, reverse=order == SortOrder.DESCEND)
