"""The store grants leases, attaches keys to them, and deletes the keys when a lease ends."""

from __future__ import annotations

import pytest

from splitbrain.node.apply.store_requests import apply
from splitbrain.node.messages import errors, rpc
from splitbrain.node.messages.internal_request import StoreOperation
from splitbrain.node.messages.lease import (
    TTL_S_MAX,
    LeaseCheckpoint,
    LeaseCheckpointRequest,
    LeaseExpireRequest,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseRevokeRequest,
)
from splitbrain.node.mvcc.store import Store
from splitbrain.node.storage.memory_backend import MemoryBackend


def store_with(*operations: StoreOperation) -> Store:
    store = Store(MemoryBackend())
    for operation in operations:
        apply(store, operation)
    return store


def keys_of(store: Store, lease_id: int) -> list[bytes]:
    lease = store.leases.get(lease_id)
    assert lease is not None
    return sorted(lease.keys)


def keys_in(store: Store) -> list[bytes]:
    return [kv.key for kv in store.range(b"\0", b"\0").kvs]


GRANT = LeaseGrantRequest(id=7, ttl=5)
OTHER_GRANT = LeaseGrantRequest(id=-8, ttl=5)


def put(key: bytes, lease: int = 0, *, ignore_lease: bool = False) -> rpc.PutRequest:
    return rpc.PutRequest(key=key, value=b"1", lease=lease, ignore_lease=ignore_lease)


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (LeaseGrantRequest(ttl=5), errors.lease_not_found()),
        (LeaseGrantRequest(id=7, ttl=5), errors.lease_exists()),
        (LeaseGrantRequest(id=7, ttl=TTL_S_MAX + 1), errors.lease_ttl_too_large()),
        (LeaseRevokeRequest(8), errors.lease_not_found()),
        (put(b"a", 8), errors.lease_not_found()),
        (rpc.TxnRequest(success=(put(b"a"), put(b"b", 8))), errors.lease_not_found()),
    ],
)
def test_impossible_requests_are_refused_and_change_nothing(
    request_: StoreOperation, refusal: errors.RpcError
) -> None:
    store = store_with(GRANT)
    assert apply(store, request_) == refusal
    assert store.revision == 1
    assert [lease.id for lease in store.leases.all()] == [7]


def test_a_grant_makes_no_revision() -> None:
    store = store_with()
    expected = LeaseGrantResponse(header=rpc.ResponseHeader(revision=1), id=7, ttl=5)
    assert apply(store, GRANT) == expected


@pytest.mark.parametrize(
    ("later", "attached", "elsewhere"),
    [
        ((), [b"a"], []),
        ((put(b"a"),), [], []),
        ((put(b"a", -8),), [], [b"a"]),
        ((put(b"a", ignore_lease=True),), [b"a"], []),
        ((rpc.DeleteRangeRequest(key=b"a"),), [], []),
        ((rpc.DeleteRangeRequest(key=b"a"), put(b"a", -8)), [], [b"a"]),
        ((rpc.TxnRequest(success=(put(b"b", 7), put(b"a", -8))),), [b"b"], [b"a"]),
    ],
)
@pytest.mark.parametrize("reloaded", [False, True])
def test_a_key_is_attached_to_the_lease_of_its_last_put(
    later: tuple[StoreOperation, ...], attached: list[bytes], elsewhere: list[bytes], reloaded: bool
) -> None:
    store = store_with(GRANT, OTHER_GRANT, put(b"a", 7), *later)
    if reloaded:
        store.restore()
    assert keys_of(store, 7) == attached
    assert keys_of(store, -8) == elsewhere


def test_the_end_of_a_lease_deletes_its_keys_in_order_at_one_revision() -> None:
    store = store_with(GRANT, put(b"c", 7), put(b"a", 7), put(b"b"), put(b"d", 7))
    before = store.revision
    apply(store, LeaseRevokeRequest(7))
    assert store.revision == before + 1
    assert keys_in(store) == [b"b"]
    assert [one.kv.key for one in store.changes(before + 1, before + 2)] == [b"a", b"c", b"d"]
    assert store.leases.get(7) is None


def test_the_end_of_a_lease_without_keys_makes_no_revision() -> None:
    store = store_with(GRANT, LeaseRevokeRequest(7))
    assert store.revision == 1


def test_a_key_that_was_put_again_survives_the_end_of_its_former_lease() -> None:
    store = store_with(GRANT, put(b"a", 7), put(b"a"), LeaseRevokeRequest(7))
    assert keys_in(store) == [b"a"]


@pytest.mark.parametrize(("entry_term", "exists"), [(3, False), (4, True)])
def test_only_the_leader_that_proposed_it_ends_an_expired_lease(
    entry_term: int, exists: bool
) -> None:
    store = store_with(GRANT, put(b"a", 7))
    apply(store, LeaseExpireRequest(7, term=3), entry_term)
    assert (store.leases.get(7) is not None) is exists
    assert keys_in(store) == ([b"a"] if exists else [])


@pytest.mark.parametrize(("entry_term", "recorded_s"), [(3, 2), (4, 5)])
def test_only_the_leader_that_proposed_it_records_a_remaining_time(
    entry_term: int, recorded_s: int
) -> None:
    store = store_with(GRANT)
    request = LeaseCheckpointRequest((LeaseCheckpoint(7, 2), LeaseCheckpoint(8, 2)), term=3)
    apply(store, request, entry_term)
    store.restore()
    lease = store.leases.get(7)
    assert lease is not None
    assert lease.recorded_s == recorded_s


def test_leases_and_their_keys_survive_a_restart() -> None:
    backend = MemoryBackend()
    store = Store(backend)
    for operation in (GRANT, OTHER_GRANT, put(b"a", 7), put(b"b", -8), LeaseRevokeRequest(-8)):
        apply(store, operation)
    again = Store(backend)
    assert keys_of(again, 7) == [b"a"]
    assert [(lease.id, lease.ttl_s) for lease in again.leases.all()] == [(7, 5)]
