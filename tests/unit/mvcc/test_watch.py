"""A watcher receives every event of its keys since its start: in order, once, whole revisions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.node.mvcc import watch
from splitbrain.node.mvcc.key_value import Event, EventType, KeyValue
from splitbrain.node.mvcc.store import Store
from splitbrain.node.mvcc.watch import WatchBatch, Watcher
from splitbrain.node.storage.memory_backend import MemoryBackend
from tests.unit.mvcc.model import ModelStore, Operation, inside
from tests.unit.mvcc.test_store import ends, keys, transactions, write_all


async def available_batches(watcher: Watcher) -> list[WatchBatch]:
    """The batches that a consumer receives without further writes."""
    batches: list[WatchBatch] = []
    while True:
        waiting = asyncio.ensure_future(watcher.next_batch())
        for _ in range(50):
            await asyncio.sleep(0)
            if waiting.done():
                break
        if not waiting.done():
            waiting.cancel()
            return batches
        batch = waiting.result()
        if batch is None:
            return batches
        batches.append(batch)


def expected_events(model: ModelStore, watcher: Watcher, start: int) -> list[Event]:
    expected = []
    for revision in sorted(model.events):
        for event in model.events[revision]:
            filtered_out = watcher.no_put if event.type is EventType.PUT else watcher.no_delete
            if revision < start or filtered_out:
                continue
            if inside(watcher.key, watcher.range_end, event.kv.key):
                previous = event.previous if watcher.prev_kv else None
                expected.append(Event(event.type, event.kv, previous))
    return expected


def check_batches(batches: list[WatchBatch]) -> None:
    """Batches contain whole revisions, in ascending order."""
    delivered = 0
    for batch in batches:
        revisions = [event.kv.mod_revision for event in batch.events]
        assert revisions == sorted(revisions)
        assert delivered < revisions[0]
        assert revisions[-1] <= batch.revision
        delivered = batch.revision


@settings(max_examples=150, deadline=None)
@given(
    st.lists(transactions, max_size=6),
    st.lists(st.tuples(transactions, st.booleans()), max_size=8),
    keys,
    ends,
    st.integers(0, 8),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from([1, 600, watch.BUFFER_BYTES_MAX]),
    st.integers(1, 3),
)
def test_any_watcher_receives_exactly_the_events_that_it_asked_for(
    before: list[list[Operation]],
    after: list[tuple[list[Operation], bool]],
    key: bytes,
    end: bytes,
    start: int,
    flags: tuple[bool, bool, bool],
    buffer_bytes_max: int,
    revisions_at_once: int,
) -> None:
    async def scenario() -> None:
        store, model = Store(MemoryBackend()), ModelStore()
        for operations in before:
            write_all(store, operations)
            model.write(operations)
        watcher = store.watches.create(
            key,
            end,
            start_revision=start,
            prev_kv=flags[0],
            no_put=flags[1],
            no_delete=flags[2],
            buffer_bytes_max=buffer_bytes_max,
        )
        first = start or store.revision + 1
        batches = []
        for operations, consumes in after:
            write_all(store, operations)
            model.write(operations)
            if consumes:
                batches += await available_batches(watcher)
                assert store.watches.progress(watcher) == store.revision
        batches += await available_batches(watcher)
        check_batches(batches)
        found = [event for batch in batches for event in batch.events]
        assert found == expected_events(model, watcher, first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "REVISIONS_AT_ONCE", revisions_at_once)
        asyncio.run(scenario())


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def test_a_watcher_from_before_the_compacted_revision_is_cancelled_with_that_revision() -> None:
    async def scenario() -> None:
        store = Store(MemoryBackend())
        for number in range(5):
            write_all(store, [("put", b"a", bytes([number]))])
        store.compact(4)
        watcher = store.watches.create(b"a", start_revision=3)
        assert await watcher.next_batch() == WatchBatch((), 6, compact_revision=4)
        assert await watcher.next_batch() is None
        assert len(store.watches) == 0

    run(scenario)


def test_a_watcher_from_the_compacted_revision_receives_its_deletion() -> None:
    async def scenario() -> None:
        store = Store(MemoryBackend())
        write_all(store, [("put", b"a", b"1")])
        write_all(store, [("delete", b"a")])
        store.compact(3)
        store.remove_compacted()
        watcher = store.watches.create(b"a", start_revision=3, prev_kv=True)
        (batch,) = await available_batches(watcher)
        assert batch.events == (Event(EventType.DELETE, KeyValue(b"a", mod_revision=3)),)

    run(scenario)


def test_a_slow_watcher_behind_a_compaction_receives_its_buffer_and_is_cancelled() -> None:
    async def scenario() -> None:
        store = Store(MemoryBackend())
        watcher = store.watches.create(b"a", buffer_bytes_max=1)
        for number in range(5):
            write_all(store, [("put", b"a", bytes([number]))])
        assert store.watches.slow == 1
        store.compact(5)
        assert store.watches.progress(watcher) == 1
        first, last = await available_batches(watcher)
        assert [event.kv.mod_revision for event in first.events] == [2]
        assert last.compact_revision == 5

    run(scenario)


def test_a_watcher_from_a_future_revision_receives_no_earlier_event() -> None:
    async def scenario() -> None:
        store = Store(MemoryBackend())
        watcher = store.watches.create(b"a", b"\0", start_revision=4)
        for _ in range(4):
            write_all(store, [("put", b"a", b"")])
        batches = await available_batches(watcher)
        assert [batch.revision for batch in batches] == [4, 5]

    run(scenario)


def test_a_cancelled_watcher_receives_no_further_batch() -> None:
    async def scenario() -> None:
        store = Store(MemoryBackend())
        watcher = store.watches.create(b"a")
        waiting = asyncio.ensure_future(watcher.next_batch())
        await asyncio.sleep(0)
        store.watches.cancel(watcher)
        store.watches.cancel(watcher)
        write_all(store, [("put", b"a", b"")])
        assert await waiting is None

    run(scenario)


def test_watchers_continue_when_the_store_is_replaced_by_a_snapshot() -> None:
    async def scenario() -> None:
        leader, backend = Store(leader_backend := MemoryBackend()), MemoryBackend()
        follower = Store(backend)
        write_all(leader, [("put", b"a", b"1")])
        write_all(follower, [("put", b"a", b"1")])
        watcher = follower.watches.create(b"a")
        future = follower.watches.create(b"a", start_revision=5)
        waiting = asyncio.ensure_future(watcher.next_batch())
        await asyncio.sleep(0)
        for number in range(3):
            write_all(leader, [("put", b"a", bytes([number]))])
        await backend.replace_with(await leader_backend.snapshot())
        follower.restore()
        batch = await waiting
        assert batch is not None
        assert [event.kv.mod_revision for event in batch.events] == [3, 4, 5]
        write_all(follower, [("put", b"a", b"")])
        assert [one.revision for one in await available_batches(watcher)] == [6]
        batches = await available_batches(future)
        revisions = [event.kv.mod_revision for one in batches for event in one.events]
        assert revisions == [5, 6]

    run(scenario)


def test_a_revision_larger_than_the_buffer_is_delivered_whole() -> None:
    async def scenario() -> None:
        store = Store(MemoryBackend())
        watcher = store.watches.create(b"a", b"\0", buffer_bytes_max=1)
        write_all(store, [("put", b"a", b"1"), ("put", b"b", b"2"), ("put", b"c", b"3")])
        (batch,) = await available_batches(watcher)
        assert len(batch.events) == 3

    run(scenario)
