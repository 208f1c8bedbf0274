"""A store whose backend loses a change while the member runs reports the loss.

No answer, hash or copy leaves the change out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from splitbrain.node.mvcc.revision import backend_key, pack
from splitbrain.node.mvcc.store import Store
from splitbrain.node.storage.content_checksums import BackendDamaged
from splitbrain.node.storage.memory_backend import MemoryBackend


async def store_with_a_lost_change() -> tuple[Store, MemoryBackend]:
    """A store with the revisions 2 to 5, of which the backend has lost revision 4."""
    backend = MemoryBackend()
    store = Store(backend)
    for value in (b"2", b"3", b"4", b"5"):
        transaction = store.write()
        transaction.put(b"k" + value, value, 0)
        transaction.end()
    await backend.flush()
    del backend._committed.buckets[b"key"][backend_key(pack(4))]
    return store, backend


READS: dict[str, Callable[[Store], object]] = {
    "the changes": lambda store: list(store.changes(2, 6)),
    "the hash": lambda store: store.hash_kv(),
    "the hash at a revision": lambda store: store.hash_kv(4),
    "a range": lambda store: store.range(b"k", b"l"),
    "a key": lambda store: store.get(b"k4"),
    "a key at a revision": lambda store: store.get_at(b"k4", 5),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_read_that_needs_a_lost_change_fails(read: Callable[[Store], object]) -> None:
    async def scenario() -> None:
        store, _ = await store_with_a_lost_change()
        with pytest.raises(BackendDamaged, match="lacks key/0000000000000004"):
            read(store)

    asyncio.run(scenario())


def test_a_read_that_does_not_need_the_lost_change_is_answered() -> None:
    async def scenario() -> None:
        store, _ = await store_with_a_lost_change()
        assert [event.kv.value for event in store.changes(2, 4)] == [b"2", b"3"]
        assert [event.kv.value for event in store.changes(5, 6)] == [b"5"]
        assert store.hash_kv(3).hash_revision == 3

    asyncio.run(scenario())


def test_a_compacted_change_may_be_missing() -> None:
    async def scenario() -> None:
        backend = MemoryBackend()
        store = Store(backend)
        for value in (b"first", b"second"):
            transaction = store.write()
            transaction.put(b"k", value, 0)
            transaction.end()
        await backend.flush()
        del backend._committed.buckets[b"key"][backend_key(pack(2))]
        store.compact(3)
        assert [event.kv.value for event in store.changes(2, 4)] == [b"second"]
        assert store.hash_kv().compact_revision == 3

    asyncio.run(scenario())


def test_no_copy_is_made_of_a_backend_that_lost_a_change() -> None:
    async def scenario() -> None:
        _, backend = await store_with_a_lost_change()
        with pytest.raises(BackendDamaged):
            await backend.snapshot()

    asyncio.run(scenario())
