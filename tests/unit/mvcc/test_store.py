"""The store agrees with the model at every revision, across compaction and crashes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.node.mvcc.key_value import KeyValue
from splitbrain.node.mvcc.revision import CompactedRevision, FutureRevision
from splitbrain.node.mvcc.store import Store
from splitbrain.node.storage.memory_backend import MemoryBackend
from tests.unit.mvcc.model import Before, ModelStore, Operation, inside, select

keys = st.sampled_from([b"a", b"aa", b"ab", b"b", b"ba", b"c"])
ends = st.sampled_from([b"", b"\0", b"a", b"ab", b"b", b"c", b"d"])
puts = st.tuples(st.just("put"), keys, st.binary(max_size=3), st.integers(0, 2))
deletes = st.tuples(st.just("delete"), keys, ends)


def distinct(operations: list[Operation]) -> list[Operation]:
    """The operations without those that change a key again; the API refuses such a transaction."""
    kept: list[Operation] = []
    for operation in operations:
        conflicts = any(overlaps(operation, other) or overlaps(other, operation) for other in kept)
        if not conflicts:
            kept.append(operation)
    return kept


def overlaps(one: Operation, other: Operation) -> bool:
    end = one[2] if one[0] == "delete" else b""
    return inside(one[1], end, other[1]) or (end != b"" and other[0] == "delete")


transactions = st.lists(st.one_of(puts, deletes), max_size=4).map(distinct)
steps = st.one_of(
    st.tuples(st.just("write"), transactions),
    st.tuples(st.just("write"), transactions),
    st.tuples(st.just("compact"), st.integers(-1, 12)),
    st.tuples(st.just("remove"), st.integers(1, 3)),
    st.tuples(st.just("flush")),
    st.tuples(st.just("crash")),
    st.tuples(st.just("copy")),
)

Step = tuple[Any, ...]


def write_all(store: Store, operations: list[Operation]) -> list[Before]:
    transaction = store.write()
    results: list[Before] = []
    for name, *arguments in operations:
        call: Callable[..., Before] = transaction.put if name == "put" else transaction.delete_range
        results.append(call(*arguments))
    transaction.end()
    return results


def check_all_ranges(store: Store, model: ModelStore) -> None:
    assert store.revision == model.revision
    assert store.compacted_revision == model.compacted
    for key, end in [(b"a", b"\0"), (b"a", b""), (b"aa", b"b"), (b"b", b"a"), (b"ab", b"c")]:
        for revision in range(-1, model.revision + 1):
            if 0 < revision < model.compacted:
                with pytest.raises(CompactedRevision):
                    store.range(key, end, revision=revision)
                continue
            state = model.states[revision if revision > 0 else -1]
            expected = select(state, key, end)
            for limit in (0, 1, 2):
                found = store.range(key, end, revision=revision, limit=limit)
                assert found.kvs == (expected[:limit] if limit else expected)
                assert found.count == len(expected)
                assert found.revision == model.revision
            counted = store.range(key, end, revision=revision, count_only=True)
            assert (counted.kvs, counted.count) == ([], len(expected))
    assert store.keys_count == len(model.states[-1])
    with pytest.raises(FutureRevision):
        store.range(b"a", revision=model.revision + 1)


def compact_both(store: Store, model: ModelStore, revision: int) -> None:
    if revision <= model.compacted:
        with pytest.raises(CompactedRevision):
            store.compact(revision)
    elif revision > model.revision:
        with pytest.raises(FutureRevision):
            store.compact(revision)
    else:
        store.compact(revision)
        model.compacted = revision


class Member:
    """A store over a backend that loses unflushed changes in a crash, and a log of all changes."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.store = Store(self.backend)
        self.model = ModelStore()
        self.log: list[Step] = []

    def apply(self, step: Step) -> None:
        self.log.append(step)
        if step[0] == "write":
            assert write_all(self.store, step[1]) == self.model.write(step[1])
        else:
            compact_both(self.store, self.model, step[1])
        self.store.set_consistent_index(len(self.log), 1)

    def replay(self) -> None:
        """Apply the entries after the consistent index, as a member does after a restart."""
        for index in range(self.store.consistent_index, len(self.log)):
            step = self.log[index]
            if step[0] == "write":
                write_all(self.store, step[1])
            else:
                with contextlib.suppress(CompactedRevision, FutureRevision):
                    self.store.compact(step[1])
            self.store.set_consistent_index(index + 1, 1)

    async def execute(self, step: Step) -> None:
        if step[0] in ("write", "compact"):
            self.apply(step)
        elif step[0] == "remove":
            self.store.remove_compacted(step[1])
        elif step[0] == "flush":
            await self.backend.flush()
        elif step[0] == "crash":
            self.backend.crash()
            self.store = Store(self.backend)
            self.replay()
        else:
            copy = await self.backend.snapshot()
            other = MemoryBackend()
            store = Store(other)
            await other.replace_with(copy)
            store.restore()
            assert store.consistent_index == self.store.consistent_index
            self.backend, self.store = other, store


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=14))
def test_the_store_agrees_with_the_model_after_any_history(all_steps: list[Step]) -> None:
    async def scenario() -> None:
        member = Member()
        for step in all_steps:
            await member.execute(step)
        check_all_ranges(member.store, member.model)

    asyncio.run(scenario())


@settings(max_examples=100, deadline=None)
@given(st.lists(steps, max_size=14), st.lists(steps, max_size=14))
def test_members_with_the_same_log_have_the_same_hash(
    first: list[Step], second: list[Step]
) -> None:
    """The members apply the same log with different crashes, copies and removals."""

    async def scenario() -> None:
        one, other = Member(), Member()
        logged = [step for step in first if step[0] in ("write", "compact")]
        for step in first:
            await one.execute(step)
        local = [step for step in second if step[0] not in ("write", "compact")]
        for step in logged:
            if local:
                await other.execute(local.pop())
            other.apply(step)
        for step in local:
            await other.execute(step)
        for revision in range(max(0, one.store.compacted_revision), one.store.revision + 1):
            assert one.store.hash_kv(revision) == other.store.hash_kv(revision)
        for member in (one, other):
            member.store.remove_compacted(1000)
        assert one.store.hash() == other.store.hash()

    asyncio.run(scenario())


@settings(max_examples=80, deadline=None)
@given(st.lists(transactions, min_size=1, max_size=8), st.data())
def test_any_change_to_a_readable_version_changes_the_hash(
    histories: list[list[Operation]], data: st.DataObject
) -> None:
    backend = MemoryBackend()
    store = Store(backend)
    for operations in histories:
        write_all(store, operations)
    pairs = list(backend.range(b"key", b""))
    if not pairs:
        return
    before = store.hash_kv()
    key, value = data.draw(st.sampled_from(pairs))
    at = data.draw(st.integers(0, len(value) - 1))
    backend.put(b"key", key, value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :])
    assert store.hash_kv().hash != before.hash


def test_a_transaction_sees_its_own_changes() -> None:
    store = Store(MemoryBackend())
    write_all(store, [("put", b"a", b"1")])
    transaction = store.write()
    assert transaction.revision == 2
    transaction.put(b"b", b"2")
    assert transaction.revision == 3
    transaction.delete_range(b"a")
    inside = transaction.range(b"a", b"\0")
    assert [kv.key for kv in inside.kvs] == [b"b"]
    assert inside.revision == 3
    assert transaction.range(b"a", revision=2).count == 1
    with pytest.raises(FutureRevision):
        transaction.range(b"a", revision=4)
    assert transaction.end() == 3
    assert store.get(b"b") == KeyValue(b"b", 3, 3, 1, b"2", 0)


def test_a_transaction_that_changes_nothing_takes_no_revision() -> None:
    store = Store(MemoryBackend())
    assert write_all(store, [("delete", b"a", b"\0")]) == [[]]
    assert store.revision == 1


def test_a_key_that_is_put_after_its_deletion_is_a_new_key() -> None:
    store = Store(MemoryBackend())
    for operations in ([("put", b"a", b"1")], [("put", b"a", b"2")], [("delete", b"a")]):
        write_all(store, operations)
    write_all(store, [("put", b"a", b"3")])
    assert store.get(b"a") == KeyValue(b"a", 5, 5, 1, b"3", 0)
    assert store.get_at(b"a", 3) == KeyValue(b"a", 2, 3, 2, b"2", 0)
    assert store.get_at(b"a", 4) is None


def test_compaction_removes_versions_from_the_backend_in_batches() -> None:
    async def scenario() -> None:
        backend = MemoryBackend()
        store = Store(backend)
        for number in range(10):
            write_all(store, [("put", b"a", bytes([number]))])
        store.compact(store.revision)
        assert store.removals_pending == 9
        assert store.remove_compacted(4) == 5
        assert len(list(backend.range(b"key", b""))) == 6
        await backend.flush()
        backend.crash()
        store = Store(backend)
        assert store.removals_pending == 5
        assert store.remove_compacted() == 0
        assert len(list(backend.range(b"key", b""))) == 1

    asyncio.run(scenario())


def test_a_store_keeps_its_revision_if_all_its_changes_are_compacted() -> None:
    async def scenario() -> None:
        backend = MemoryBackend()
        store = Store(backend)
        write_all(store, [("put", b"a", b"")])
        write_all(store, [("delete", b"a")])
        write_all(store, [("put", b"b", b"")])
        write_all(store, [("delete", b"b")])
        store.compact(5)
        store.remove_compacted()
        await backend.flush()
        assert Store(backend).revision == 5

    asyncio.run(scenario())


def test_a_refused_read_names_the_requested_and_the_available_revision() -> None:
    store = Store(MemoryBackend())
    write_all(store, [("put", b"a", b"")])
    write_all(store, [("put", b"a", b"")])
    store.compact(3)
    with pytest.raises(CompactedRevision, match=r"revision 2 was .* before 3 are compacted"):
        store.range(b"a", revision=2)
    with pytest.raises(FutureRevision, match=r"revision 9 was .* is at revision 3"):
        store.range(b"a", revision=9)
    with pytest.raises(CompactedRevision):
        store.hash_kv(2)


def test_a_second_transaction_must_wait_until_the_first_has_ended() -> None:
    store = Store(MemoryBackend())
    store.write()
    with pytest.raises(AssertionError, match="end it first"):
        store.write()
