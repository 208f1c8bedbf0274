"""The LMDB backend and the memory backend return the same results for any operations."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.node.backend import BUCKETS, Backend
from splitbrain.node.storage.content_checksums import BackendDamaged, with_crc
from splitbrain.node.storage.lmdb_backend import LmdbBackend
from splitbrain.node.storage.memory_backend import MemoryBackend
from splitbrain.node.storage.snapshot_encoding import CopyCorrupt, check_copy
from splitbrain.node.world import DiskError

T = TypeVar("T")


async def in_a_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


def open_lmdb(path: Path, map_size_bytes: int = 1 << 24) -> LmdbBackend:
    return LmdbBackend(
        path, run=in_a_thread, sync_directory=lambda _: None, map_size_bytes=map_size_bytes
    )


keys = st.binary(min_size=1, max_size=3)
buckets = st.sampled_from(BUCKETS)
steps = st.one_of(
    st.tuples(st.just("put"), buckets, keys, st.binary(max_size=8)),
    st.tuples(st.just("delete"), buckets, keys),
    st.tuples(st.just("get"), buckets, keys),
    st.tuples(
        st.just("range"), buckets, st.binary(max_size=3), st.none() | keys, st.integers(0, 4)
    ),
    st.tuples(st.just("flush")),
    st.tuples(st.just("crash")),
    st.tuples(st.just("snapshot")),
    st.tuples(st.just("replace")),
)


def whole(backend: Backend) -> dict[bytes, list[tuple[bytes, bytes]]]:
    return {bucket: list(backend.range(bucket, b"")) for bucket in BUCKETS}


async def execute_on_both(all_steps: list[tuple[Any, ...]], path: Path) -> None:
    on_disk, in_memory = open_lmdb(path), MemoryBackend()
    copy = await in_memory.snapshot()
    for name, *arguments in all_steps:
        if name in ("put", "delete"):
            for backend in (on_disk, in_memory):
                getattr(backend, str(name))(*arguments)
        elif name == "get":
            assert on_disk.get(*arguments) == in_memory.get(*arguments)
        elif name == "range":
            assert list(on_disk.range(*arguments)) == list(in_memory.range(*arguments))
        elif name == "flush":
            await on_disk.flush()
            await in_memory.flush()
            assert on_disk.pending_operations == in_memory.pending_operations == 0
        elif name == "crash":
            in_memory.crash()
            on_disk.close()
            on_disk = open_lmdb(path)
        elif name == "snapshot":
            copy = await on_disk.snapshot()
            assert copy == await in_memory.snapshot()
        else:
            await on_disk.replace_with(copy)
            await in_memory.replace_with(copy)
        assert on_disk.pending_operations == in_memory.pending_operations
    assert whole(on_disk) == whole(in_memory)
    on_disk.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=30))
def test_lmdb_and_memory_behave_the_same(all_steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(execute_on_both(all_steps, Path(folder) / "db"))


@pytest.fixture(params=["lmdb", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Backend]:
    if request.param == "memory":
        return MemoryBackend
    return lambda: open_lmdb(tmp_path / "db")


def test_a_read_sees_the_batch_in_flight_and_pending_changes(
    make: Callable[[], Backend],
) -> None:
    async def scenario() -> None:
        backend = make()
        backend.put(b"key", b"a", b"1")
        backend.put(b"key", b"b", b"1")
        flushing = asyncio.ensure_future(backend.flush())
        while backend.pending_operations > 0:
            await asyncio.sleep(0)
        backend.put(b"key", b"a", b"2")
        backend.delete(b"key", b"b")
        pairs = list(backend.range(b"key", b""))
        assert pairs == [(b"a", b"2")]
        assert backend.get(b"key", b"b") is None
        assert backend.pending_operations == 2
        await flushing
        assert list(backend.range(b"key", b"")) == pairs
        backend.close()

    asyncio.run(scenario())


def test_the_batch_of_a_cancelled_flush_is_written_by_the_next_flush(
    make: Callable[[], Backend]
) -> None:
    async def scenario() -> None:
        backend = make()
        backend.put(b"key", b"a", b"1")
        backend.put(b"key", b"b", b"1")
        flushing = asyncio.ensure_future(backend.flush())
        while backend.pending_operations:
            await asyncio.sleep(0)
        flushing.cancel()
        await asyncio.wait([flushing])
        backend.put(b"key", b"a", b"2")
        assert list(backend.range(b"key", b"")) == [(b"a", b"2"), (b"b", b"1")]
        await backend.flush()
        assert list(backend.range(b"key", b"")) == [(b"a", b"2"), (b"b", b"1")]
        await asyncio.sleep(0.01)
        backend.close()

    asyncio.run(scenario())


def test_a_range_that_began_before_a_flush_is_not_changed_by_it(
    make: Callable[[], Backend]
) -> None:
    async def scenario() -> None:
        backend = make()
        backend.put(b"key", b"a", b"1")
        backend.put(b"key", b"b", b"1")
        await backend.flush()
        pairs = backend.range(b"key", b"")
        assert next(pairs) == (b"a", b"1")
        backend.delete(b"key", b"b")
        await backend.flush()
        assert list(pairs) == [(b"b", b"1")]
        backend.close()

    asyncio.run(scenario())


def test_a_snapshot_contains_the_state_at_the_time_of_its_request(
    make: Callable[[], Backend]
) -> None:
    async def scenario() -> None:
        backend = make()
        backend.put(b"key", b"a", b"1")
        copying = asyncio.ensure_future(backend.snapshot())
        await asyncio.sleep(0)
        backend.put(b"key", b"a", b"2")
        await backend.flush()
        copy = await copying
        await backend.replace_with(copy)
        assert backend.get(b"key", b"a") == b"1"
        backend.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("at", [0, 10, 40, -1])
def test_a_corrupt_copy_is_refused_and_changes_nothing(
    make: Callable[[], Backend], at: int
) -> None:
    async def scenario() -> None:
        backend = make()
        backend.put(b"key", b"a", b"a value long enough to corrupt")
        copy = bytearray(await backend.snapshot())
        copy[at] ^= 1
        with pytest.raises(CopyCorrupt):
            await backend.replace_with(bytes(copy))
        assert backend.get(b"key", b"a") is not None
        backend.close()

    asyncio.run(scenario())


@given(st.binary(max_size=64))
def test_bytes_that_are_not_a_copy_are_refused(junk: bytes) -> None:
    with pytest.raises(CopyCorrupt):
        check_copy(junk)


def test_a_full_lmdb_backend_reports_it_and_keeps_its_content(tmp_path: Path) -> None:
    async def scenario() -> None:
        backend = open_lmdb(tmp_path / "db", map_size_bytes=1 << 17)
        backend.put(b"key", b"a", b"1")
        await backend.flush()
        backend.put(b"key", b"b", bytes(1 << 18))
        with pytest.raises(DiskError, match="the backend is full at 131072 bytes"):
            await backend.flush()
        with pytest.raises(DiskError, match="an earlier write failed"):
            await backend.flush()
        backend.close()
        backend = open_lmdb(tmp_path / "db")
        assert list(backend.range(b"key", b"")) == [(b"a", b"1")]
        backend.close()

    asyncio.run(scenario())


def test_sizes_grow_with_the_content(make: Callable[[], Backend]) -> None:
    async def scenario() -> None:
        backend = make()
        for number in range(100):
            backend.put(b"key", number.to_bytes(8, "big"), bytes(1000))
        await backend.flush()
        assert backend.size_bytes >= backend.size_in_use_bytes >= 100_000
        backend.close()

    asyncio.run(scenario())


def test_a_defragmented_file_is_smaller_and_has_the_same_content(tmp_path: Path) -> None:
    async def scenario() -> None:
        backend = open_lmdb(tmp_path / "db")
        for number in range(1000):
            backend.put(b"key", number.to_bytes(8, "big"), bytes(1000))
        await backend.flush()
        for number in range(990):
            backend.delete(b"key", number.to_bytes(8, "big"))
        await backend.flush()
        backend.put(b"key", b"buffered", b"1")
        before, content = backend.size_bytes, whole(backend)
        copying = asyncio.create_task(backend.snapshot())
        defragmenting = asyncio.create_task(backend.defragment())
        flushing = asyncio.create_task(backend.flush())
        while not defragmenting.done():
            assert whole(backend) == content
            await asyncio.sleep(0)
        await defragmenting
        await flushing
        check_copy(await copying)
        assert backend.size_bytes < before / 10
        assert whole(backend) == content
        backend.check()
        backend.close()
        again = open_lmdb(tmp_path / "db")
        assert whole(again) == content
        again.check()
        again.close()

    asyncio.run(scenario())


def test_a_copy_that_a_crash_left_behind_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "db.compact").mkdir()
        (tmp_path / "db.compact" / "data.mdb").write_bytes(b"half a copy")
        backend = open_lmdb(tmp_path / "db")
        backend.put(b"key", b"a", b"1")
        await backend.flush()
        await backend.defragment()
        assert list(backend.range(b"key", b"")) == [(b"a", b"1")]
        assert not (tmp_path / "db.compact").exists()
        backend.close()

    asyncio.run(scenario())


# --- damage of the file --------------------------------------------------------------


def tamper(path: Path, change: Callable[[Any, Any], None]) -> None:
    """Change the pairs of the bucket `key` in the file, as a fault of the disk does."""
    environment = lmdb.open(str(path), map_size=1 << 24, max_dbs=8)
    with environment.begin(write=True) as transaction:
        change(transaction, environment.open_db(b"key", txn=transaction))
    environment.close()


def flip_value(transaction: Any, database: Any) -> None:
    stored = bytearray(transaction.get(b"b", db=database))
    stored[1] ^= 4
    transaction.put(b"b", bytes(stored), db=database)


def move_value(transaction: Any, database: Any) -> None:
    transaction.put(b"b", transaction.get(b"a", db=database), db=database)


def lose_pair(transaction: Any, database: Any) -> None:
    transaction.delete(b"b", db=database)


def lose_pairs(transaction: Any, database: Any) -> None:
    transaction.drop(database, delete=False)


async def store_twice(path: Path) -> None:
    """Store `b`, and then replace it."""
    backend = open_lmdb(path)
    backend.put(b"key", b"a", b"value of a")
    backend.put(b"key", b"b", b"first value of b")
    await backend.flush()
    backend.put(b"key", b"b", b"second value of b")
    backend.put(b"meta", b"m", b"1")
    await backend.flush()
    backend.check()
    backend.close()


@pytest.mark.parametrize("change", [flip_value, move_value, lose_pair, lose_pairs])
def test_a_changed_file_of_lmdb_is_noticed(
    tmp_path: Path, change: Callable[[Any, Any], None]
) -> None:
    asyncio.run(store_twice(tmp_path / "db"))
    tamper(tmp_path / "db", change)
    backend = open_lmdb(tmp_path / "db")
    with pytest.raises(BackendDamaged):
        backend.check()
    backend.close()


def test_a_pair_of_an_earlier_commit_is_noticed(tmp_path: Path) -> None:
    asyncio.run(store_twice(tmp_path / "db"))

    def restore_pair(transaction: Any, database: Any) -> None:
        transaction.put(b"b", with_crc(b"key", b"b", b"first value of b"), db=database)

    tamper(tmp_path / "db", restore_pair)
    backend = open_lmdb(tmp_path / "db")
    assert backend.get(b"key", b"b") == b"first value of b"
    with pytest.raises(BackendDamaged, match="contains 3 pairs with digest"):
        backend.check()
    backend.close()


def test_every_read_of_a_changed_value_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        backend = open_lmdb(tmp_path / "db")
        for read in (
            lambda: backend.get(b"key", b"b"), lambda: list(backend.range(b"key", b""))
        ):
            with pytest.raises(BackendDamaged, match="the value of key/62 has CRC32C"):
                read()
        with pytest.raises(BackendDamaged):
            await backend.snapshot()
        assert backend.get(b"key", b"a") == b"value of a"
        backend.close()

    asyncio.run(store_twice(tmp_path / "db"))
    tamper(tmp_path / "db", flip_value)
    asyncio.run(scenario())


def test_a_file_that_lmdb_did_not_write_is_reported_as_damaged(tmp_path: Path) -> None:
    asyncio.run(store_twice(tmp_path / "db"))
    file = tmp_path / "db" / "data.mdb"
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(BackendDamaged):
        open_lmdb(tmp_path / "db")


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=25), st.data())
def test_the_memory_backend_notices_any_change_of_its_pairs(
    all_steps: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    async def scenario() -> None:
        backend = MemoryBackend()
        copy = await backend.snapshot()
        for name, *arguments in all_steps:
            if name in ("put", "delete"):
                getattr(backend, name)(*arguments)
            elif name == "flush":
                await backend.flush()
            elif name == "replace":
                await backend.replace_with(copy)
        await backend.flush()
        backend.check()
        pairs = [
            (bucket, key)
            for bucket, content in backend._committed.buckets.items() for key in content
        ]
        if not pairs:
            return
        bucket, key = data.draw(st.sampled_from(pairs))
        stored = bytearray(backend._committed.buckets[bucket][key])
        bit = data.draw(st.integers(0, 8 * len(stored)))  # the last one: the pair is lost
        if bit == 8 * len(stored):
            del backend._committed.buckets[bucket][key]
        else:
            stored[bit // 8] ^= 1 << bit % 8
            backend._committed.buckets[bucket][key] = bytes(stored)
        with pytest.raises(BackendDamaged):
            backend.check()

    asyncio.run(scenario())
