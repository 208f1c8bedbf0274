"""The backend over LMDB: one file, one transaction a flush, synced as it commits.

All methods but the work handed to `run` are for the event loop's thread. Flushes and
copies work in the thread behind `run`, so that a slow disk delays nobody else; between
a flush's begin and its end, readers see the batch in flight laid over what was
committed before, so that they never notice which of the two it is.

LMDB (Chu 2011) commits by writing pages that nobody reads, syncing them, and then
switching the root: after a crash at any point the last committed transaction is
there, whole. It needs no log and no repair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb

from splitbrain.node.backend import BUCKETS, Run
from splitbrain.node.storage.backend_copy import check_copy, decode_copy, encode_copy
from splitbrain.node.storage.write_buffer import Pairs, WriteBuffer, Writes, overlaid
from splitbrain.node.world import DiskError

MAP_SIZE_BYTES = 4 * 1024**3


class LmdbBackend:
    """`path` is a directory, made if it is not there. `map_size_bytes` bounds the file;
    it costs address space, not memory. Raises DiskError where the file cannot be had."""

    def __init__(self, path: str | Path, *, run: Run, map_size_bytes: int = MAP_SIZE_BYTES) -> None:
        self._path = str(path)
        self._run = run
        self._map_size_bytes = map_size_bytes
        self._buffer = WriteBuffer(BUCKETS)
        self._flushing = asyncio.Lock()
        self._failure: DiskError | None = None
        try:
            Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._env = lmdb.open(
                self._path,
                map_size=map_size_bytes,
                max_dbs=len(BUCKETS),
                mode=0o600,
                # Reads ahead would fill memory with pages that nobody asked for.
                readahead=False,
            )
            self._databases = {bucket: self._env.open_db(bucket) for bucket in BUCKETS}
        except (lmdb.Error, OSError) as problem:
            raise self._disk_error("open", problem) from problem
        self._reader: Any = self._env.begin()

    def put(self, bucket: bytes, key: bytes, value: bytes) -> None:
        self._buffer.write(bucket, key, value)

    def delete(self, bucket: bytes, key: bytes) -> None:
        self._buffer.write(bucket, key, None)

    def get(self, bucket: bytes, key: bytes) -> bytes | None:
        decided, value = self._buffer.find(bucket, key)
        if decided:
            return value
        found: bytes | None = self._reader.get(key, db=self._databases[bucket])
        return found

    def range(
        self, bucket: bytes, start: bytes, end: bytes | None = None, limit: int = 0
    ) -> Iterator[tuple[bytes, bytes]]:
        writes = self._buffer.capture(bucket, start, end)
        # A reader of its own: a flush may end, and renew the shared one, before the
        # last pair is taken.
        reader = self._env.begin()
        return _limited(self._overlaid(reader, bucket, writes, start, end), limit)

    def _overlaid(
        self, reader: Any, bucket: bytes, writes: Writes, start: bytes, end: bytes | None
    ) -> Pairs:
        with reader:
            committed = _committed(reader, self._databases[bucket], start, end)
            yield from overlaid(committed, writes)

    @property
    def pending_operations(self) -> int:
        return self._buffer.operations

    async def flush(self) -> None:
        """Flushes follow each other: when one returns, all that was buffered when it was
        called is durable. Raises DiskError; the member must stop then."""
        async with self._flushing:
            if self._failure is not None:
                raise DiskError(f"{self._path} takes nothing: it failed before ({self._failure})")
            if self._buffer.is_clean:
                return
            batch = self._buffer.begin_flush()
            await self._run(lambda: self._commit(batch))
            self._buffer.end_flush()
            self._renew_reader()

    def _commit(self, batch: dict[bytes, Writes]) -> None:
        try:
            with self._env.begin(write=True) as transaction:
                for bucket, writes in batch.items():
                    _write(transaction, self._databases[bucket], writes)
        except lmdb.Error as problem:
            self._failure = self._disk_error("write", problem)
            raise self._failure from problem

    async def snapshot(self) -> bytes:
        """The content at the moment of the call, whatever is written meanwhile."""
        writes = {bucket: self._buffer.capture(bucket) for bucket in BUCKETS}
        reader = self._env.begin()
        return await self._run(lambda: self._copy(reader, writes))

    def _copy(self, reader: Any, writes: dict[bytes, Writes]) -> bytes:
        def content() -> Iterator[tuple[bytes, Pairs]]:
            for bucket, database in self._databases.items():
                committed = _committed(reader, database, b"", None)
                yield bucket, overlaid(committed, writes[bucket])

        with reader:
            return encode_copy(content())

    async def replace_with(self, snapshot: bytes) -> None:
        """Raises CopyCorrupt, and has changed nothing then, or DiskError."""
        check_copy(snapshot)
        async with self._flushing:
            await self._run(lambda: self._replace(snapshot))
            self._buffer.discard()
            self._renew_reader()

    def _replace(self, snapshot: bytes) -> None:
        try:
            with self._env.begin(write=True) as transaction:
                for database in self._databases.values():
                    transaction.drop(database, delete=False)
                for bucket, key, value in decode_copy(snapshot):
                    transaction.put(key, value, db=self._databases[bucket])
        except lmdb.Error as problem:
            raise self._disk_error("replace", problem) from problem

    def _renew_reader(self) -> None:
        self._reader.abort()
        self._reader = self._env.begin()

    @property
    def size_bytes(self) -> int:
        """Of the file, pages free for use again included."""
        page_bytes: int = self._env.stat()["psize"]
        last_page: int = self._env.info()["last_pgno"]
        return (last_page + 1) * page_bytes

    @property
    def size_in_use_bytes(self) -> int:
        pages = 0
        for database in self._databases.values():
            found = self._reader.stat(database)
            pages += found["branch_pages"] + found["leaf_pages"] + found["overflow_pages"]
        page_bytes: int = self._env.stat()["psize"]
        return pages * page_bytes

    def close(self) -> None:
        """What is buffered is lost, as in a crash: flush first where that matters. Not
        while a flush is under way."""
        self._reader.abort()
        self._env.close()

    def _disk_error(self, what: str, problem: Exception) -> DiskError:
        if isinstance(problem, lmdb.MapFullError):
            return DiskError(
                f"{what} {self._path}: the backend is full at {self._map_size_bytes} bytes; "
                "give --quota-backend-bytes more, or compact and start again"
            )
        if isinstance(problem, lmdb.MemoryError):
            return DiskError(
                f"{what} {self._path}: no address space for {self._map_size_bytes} bytes; give "
                "--quota-backend-bytes less"
            )
        return DiskError(f"{what} {self._path}: {problem}")


def _write(transaction: Any, database: Any, writes: Writes) -> None:
    # In key order, and in one call: each call of its own would hand the interpreter's
    # lock to and fro with a busy event loop.
    cursor = transaction.cursor(database)
    cursor.putmulti(sorted((key, value) for key, value in writes.items() if value is not None))
    for key, value in writes.items():
        if value is None:
            transaction.delete(key, db=database)


def _committed(reader: Any, database: Any, start: bytes, end: bytes | None) -> Pairs:
    cursor = reader.cursor(database)
    # LMDB knows no empty key: "from the beginning" is the first one.
    found = cursor.set_range(start) if start else cursor.first()
    if not found:
        return
    if end is None:
        yield from cursor.iternext()
        return
    for key, value in cursor.iternext():
        if key >= end:
            return
        yield key, value


def _limited(pairs: Pairs, limit: int) -> Pairs:
    if limit <= 0:
        yield from pairs
        return
    for count, pair in enumerate(pairs, start=1):
        yield pair
        if count == limit:
            return
