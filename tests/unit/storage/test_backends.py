"""The LMDB backend and the memory backend return the same results for any operations."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.node.backend import BUCKETS, Backend
from splitbrain.node.storage.backend_copy import CopyCorrupt, check_copy
from splitbrain.node.storage.lmdb_backend import LmdbBackend
from splitbrain.node.storage.memory_backend import MemoryBackend
from splitbrain.node.world import DiskError

T = TypeVar("T")


async def in_a_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


def open_lmdb(path: Path, map_size_bytes: int = 1 << 24) -> LmdbBackend:
    return LmdbBackend(path, run=in_a_thread, map_size_bytes=map_size_bytes)


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
