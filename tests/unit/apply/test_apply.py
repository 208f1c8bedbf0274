"""`apply` on the real store gives the same results as on a simple reference store."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.node.apply.store_requests import apply
from splitbrain.node.messages import errors, internal_request, rpc
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.internal_request import InternalRequest
from splitbrain.node.mvcc.store import Store
from splitbrain.node.storage.memory_backend import MemoryBackend
from tests.unit.api.plain_store import PlainStore

keys = st.sampled_from([b"a", b"b", b"c", b""])
ends = st.sampled_from([b"", b"\0", b"b", b"d"])
values = st.sampled_from([b"", b"1", b"2"])
numbers = st.integers(-2, 9)
flags = st.booleans()
puts = st.builds(
    rpc.PutRequest,
    key=keys, value=values, lease=st.sampled_from([0, 0, 0, 7]),
    prev_kv=flags, ignore_value=flags, ignore_lease=flags,
)  # fmt: skip
deletes = st.builds(rpc.DeleteRangeRequest, key=keys, range_end=ends, prev_kv=flags)
ranges = st.builds(
    rpc.RangeRequest,
    key=keys, range_end=ends, limit=numbers, revision=numbers,
    sort_order=st.integers(0, 3), sort_target=st.integers(0, 5), keys_only=flags,
    count_only=flags, min_mod_revision=numbers, max_create_revision=numbers,
)  # fmt: skip
compares = st.integers(0, 5).flatmap(
    lambda target: st.builds(
        rpc.Compare,
        key=keys, result=st.integers(0, 4), target=st.just(target),
        operand=values if target == rpc.CompareTarget.VALUE else numbers, range_end=ends,
    )
)  # fmt: skip


def txns(depth: int) -> st.SearchStrategy[rpc.TxnRequest]:
    operations: st.SearchStrategy[Any] = st.one_of(puts, deletes, ranges)
    if depth:
        operations = st.one_of(operations, txns(depth - 1))
    branch = st.lists(operations, max_size=3).map(tuple)
    return st.builds(
        rpc.TxnRequest,
        compare=st.lists(compares, max_size=2).map(tuple), success=branch, failure=branch,
    )  # fmt: skip


compactions = st.builds(rpc.CompactionRequest, revision=numbers)
operations = st.one_of(puts, puts, deletes, txns(2), txns(2), compactions)


@given(st.lists(operations, max_size=12))
def test_the_store_answers_as_a_plain_dict_would(sequence: list[Any]) -> None:
    store, plain = Store(MemoryBackend()), PlainStore()
    for operation in sequence:
        assert apply(store, operation) == apply(plain, operation)  # type: ignore[arg-type]
        everything = store.range(b"\0", b"\0")
        assert everything == plain.range(b"\0", b"\0")


@given(st.lists(operations, max_size=8))
def test_what_is_refused_changes_nothing(sequence: list[Any]) -> None:
    store = Store(MemoryBackend())
    for operation in sequence:
        before = store.range(b"\0", b"\0"), store.compacted_revision
        if isinstance(apply(store, operation), RpcError):
            assert (store.range(b"\0", b"\0"), store.compacted_revision) == before


@given(st.integers(0, 2**64 - 1), operations)
def test_a_request_comes_out_of_the_log_as_it_went_in(number: int, operation: Any) -> None:
    request = InternalRequest(number, operation)
    assert internal_request.decode(internal_request.encode(request)) == request


def test_a_put_that_keeps_a_value_deleted_before_it_is_refused_whole() -> None:
    store = Store(MemoryBackend())
    apply(store, rpc.PutRequest(key=b"a", value=b"1"))
    txn = rpc.TxnRequest(
        success=(
            rpc.DeleteRangeRequest(key=b"a", range_end=b"\0"),
            rpc.PutRequest(key=b"a", ignore_value=True),
        )
    )
    assert apply(store, txn) == errors.key_not_found()
    assert [kv.value for kv in store.range(b"a").kvs] == [b"1"]


def test_a_key_that_comes_back_begins_at_version_one() -> None:
    store = Store(MemoryBackend())
    for operation in (
        rpc.PutRequest(key=b"a"),
        rpc.PutRequest(key=b"a"),
        rpc.DeleteRangeRequest(key=b"a"),
        rpc.PutRequest(key=b"a"),
    ):
        apply(store, operation)
    (kv,) = store.range(b"a").kvs
    assert (kv.version, kv.create_revision, kv.mod_revision) == (1, 5, 5)


def test_an_unreadable_entry_is_refused_by_name() -> None:
    with pytest.raises(internal_request.UnreadableRequest, match="9 bytes"):
        internal_request.decode(b"\x93nonsense")
