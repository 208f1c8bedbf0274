"""Implements the backend with LMDB: one file, and one synced transaction for each flush.

All methods are called in the event loop's thread. Flushes and copies run in another thread, which
the argument `run` provides, so a slow disk does not block the event loop. During a flush, reads
combine the committed content with the batch that is being written. They therefore return the same
result before and after the commit.

LMDB (Chu 2011) commits by writing unused pages, syncing them, and then switching the root. After a
crash at any point the file contains the last committed transaction completely, without a log and
without a repair.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb

from splitbrain.node.backend import BUCKETS, Run
from splitbrain.node.storage.content_checksums import (
    BackendDamaged,
    ContentDigest,
    decode_digest,
    missing,
    value_of,
    with_crc,
)
from splitbrain.node.storage.snapshot_encoding import check_copy, decode_copy, encode_copy
from splitbrain.node.storage.write_buffer import Pairs, WriteBuffer, Writes, overlaid
from splitbrain.node.wakeup import Wakeup
from splitbrain.node.world import DiskError

MAP_SIZE_BYTES = 4 * 1024**3
DATA_FILE = "data.mdb"
DIGESTS = b"digest"
"""The name of the LMDB database with the content digest. Each bucket is another database."""
_DIGEST = b"digest"


class LmdbBackend:
    """A backend that stores its data in an LMDB file.

    `path` is a directory, which is created if it does not exist. `sync_directory` makes renames in
    a directory durable. `map_size_bytes` limits the size of the file. LMDB reserves this much
    address space, but not this much memory. The constructor raises DiskError if the file cannot be
    opened.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        run: Run,
        sync_directory: Callable[[Path], None],
        map_size_bytes: int = MAP_SIZE_BYTES,
    ) -> None:
        self._path = str(path)
        self._sync_directory = sync_directory
        self._run = run
        self._map_size_bytes = map_size_bytes
        self._buffer = WriteBuffer(BUCKETS)
        self._flushing = asyncio.Lock()
        self._failure: DiskError | None = None
        self._copying = 0
        """The number of copies of the content that are being made now."""
        self._copied = Wakeup()
        self._open()

    def _open(self) -> None:
        path = Path(self._path)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._env = lmdb.open(
                self._path,
                map_size=self._map_size_bytes,
                max_dbs=len(BUCKETS) + 1,
                mode=0o600,
                # Readahead would fill memory with pages that are not needed.
                readahead=False,
            )
            self._databases = {bucket: self._env.open_db(bucket) for bucket in BUCKETS}
            self._digests = self._env.open_db(DIGESTS)
        except (lmdb.CorruptedError, lmdb.InvalidError, lmdb.VersionMismatchError) as problem:
            raise self._damaged(problem) from problem
        except (lmdb.Error, OSError) as problem:
            raise self._disk_error("open", problem) from problem
        self._reader: Any = self._env.begin()
        self._measure()

    def _measure(self) -> None:
        """Read the size of the file. It changes only by a commit."""
        page_bytes: int = self._env.stat()["psize"]
        last_page: int = self._env.info()["last_pgno"]
        self._size_bytes = (last_page + 1) * page_bytes

    def put(self, bucket: bytes, key: bytes, value: bytes) -> None:
        self._buffer.write(bucket, key, value)

    def delete(self, bucket: bytes, key: bytes) -> None:
        self._buffer.write(bucket, key, None)

    def get(self, bucket: bytes, key: bytes) -> bytes | None:
        decided, value = self._buffer.find(bucket, key)
        if decided:
            return value
        try:
            stored: bytes | None = self._reader.get(key, db=self._databases[bucket])
        except lmdb.Error as problem:
            raise self._damaged(problem) from problem
        return None if stored is None else value_of(bucket, key, stored)

    def require(self, bucket: bytes, key: bytes) -> bytes:
        found = self.get(bucket, key)
        if found is None:
            raise missing(bucket, key)
        return found

    def range(
        self, bucket: bytes, start: bytes, end: bytes | None = None, limit: int = 0
    ) -> Iterator[tuple[bytes, bytes]]:
        writes = self._buffer.capture(bucket, start, end)
        # The shared reader is not used here. A flush can end, and renew this reader, before the
        # caller takes the last pair.
        reader = self._env.begin()
        return _limited(self._overlaid(reader, bucket, writes, start, end), limit)

    def _overlaid(
        self, reader: Any, bucket: bytes, writes: Writes, start: bytes, end: bytes | None
    ) -> Pairs:
        with reader:
            yield from overlaid(self._committed(reader, bucket, start, end), writes)

    @property
    def pending_operations(self) -> int:
        return self._buffer.operations

    async def flush(self) -> None:
        """Make durable all writes that were buffered before the call.

        Concurrent flushes run one after another. Raises DiskError. The member must then stop.
        """
        async with self._flushing:
            if self._failure is not None:
                raise DiskError(f"{self._path}: an earlier write failed ({self._failure})")
            if self._buffer.is_clean:
                return
            batch = self._buffer.begin_flush()
            await self._run(lambda: self._commit(batch))
            self._buffer.end_flush()
            self._renew_reader()

    def _commit(self, batch: dict[bytes, Writes]) -> None:
        try:
            with self._env.begin(write=True) as transaction:
                digest = self._digest_in(transaction)
                for bucket, writes in batch.items():
                    _write(transaction, self._databases[bucket], bucket, writes, digest)
                transaction.put(_DIGEST, digest.encode(), db=self._digests)
        except lmdb.Error as problem:
            self._failure = self._disk_error("write", problem)
            raise self._failure from problem

    async def snapshot(self) -> bytes:
        """Return a copy of the content at the time of the call, without later writes."""
        writes = {bucket: self._buffer.capture(bucket) for bucket in BUCKETS}
        reader = self._env.begin()
        self._copying += 1
        try:
            return await self._run(lambda: self._copy(reader, writes))
        finally:
            self._copying -= 1
            self._copied.set()

    async def defragment(self) -> None:
        """Replace the file by a copy without free pages.

        Reads use the old file until the copy is complete. There is no await between closing the old
        file and opening the new one.
        """
        async with self._flushing:
            if self._failure is not None:
                raise DiskError(f"{self._path}: an earlier write failed ({self._failure})")
            await self._run(self._write_compact_copy)
            while self._copying:
                await self._copied.wait()
            self._reader.abort()
            self._env.close()
            try:
                self._compact_path.joinpath(DATA_FILE).replace(Path(self._path, DATA_FILE))
            except OSError as problem:
                raise self._disk_error("replace", problem) from problem
            self._open()
            await self._run(self._end_replacement)

    @property
    def _compact_path(self) -> Path:
        return Path(self._path + ".compact")

    def _write_compact_copy(self) -> None:
        folder = self._compact_path
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            self._env.copy(str(folder), compact=True)
            with lmdb.open(str(folder), map_size=self._map_size_bytes) as copied:
                copied.sync(True)
        except (lmdb.Error, OSError) as problem:
            raise self._disk_error("copy", problem) from problem

    def _end_replacement(self) -> None:
        """Make the new file durable under the name of the old one."""
        try:
            self._sync_directory(Path(self._path))
            shutil.rmtree(self._compact_path)
        except OSError as problem:
            raise self._disk_error("sync", problem) from problem

    def _copy(self, reader: Any, writes: dict[bytes, Writes]) -> bytes:
        def content() -> Iterator[tuple[bytes, Pairs]]:
            for bucket in BUCKETS:
                committed = self._committed(reader, bucket, b"", None)
                yield bucket, overlaid(committed, writes[bucket])

        with reader:
            # A follower must not receive a copy that lacks pairs.
            self._check(reader)
            return encode_copy(content())

    async def replace_with(self, snapshot: bytes) -> None:
        """Replace the content by `snapshot`, a copy of another member's backend.

        Raises DiskError, or CopyCorrupt if `snapshot` is damaged. CopyCorrupt is raised before the
        content is changed.
        """
        check_copy(snapshot)
        async with self._flushing:
            await self._run(lambda: self._replace(snapshot))
            self._buffer.discard()
            self._renew_reader()

    def _replace(self, snapshot: bytes) -> None:
        try:
            digest = ContentDigest()
            with self._env.begin(write=True) as transaction:
                for database in self._databases.values():
                    transaction.drop(database, delete=False)
                for bucket, key, value in decode_copy(snapshot):
                    stored = with_crc(bucket, key, value)
                    digest.replace(None, stored)
                    transaction.put(key, stored, db=self._databases[bucket])
                transaction.put(_DIGEST, digest.encode(), db=self._digests)
        except lmdb.Error as problem:
            raise self._disk_error("replace", problem) from problem

    def _renew_reader(self) -> None:
        self._reader.abort()
        self._reader = self._env.begin()
        self._measure()

    def check(self) -> None:
        with self._env.begin() as reader:
            self._check(reader)

    def _check(self, reader: Any) -> None:
        self._digest_in(reader).check(
            (bucket, key, stored)
            for bucket in BUCKETS
            for key, stored in self._stored(reader, bucket, b"", None)
        )

    def _digest_in(self, transaction: Any) -> ContentDigest:
        return decode_digest(transaction.get(_DIGEST, db=self._digests))

    def _committed(
        self, reader: Any, bucket: bytes, start: bytes, end: bytes | None
    ) -> Pairs:
        for key, stored in self._stored(reader, bucket, start, end):
            yield key, value_of(bucket, key, stored)

    def _stored(self, reader: Any, bucket: bytes, start: bytes, end: bytes | None) -> Pairs:
        try:
            yield from _stored(reader, self._databases[bucket], start, end)
        except lmdb.Error as problem:
            raise self._damaged(problem) from problem

    def _damaged(self, problem: Exception) -> BackendDamaged:
        return BackendDamaged(f"the backend's file {self._path} is damaged: {problem}")

    @property
    def size_bytes(self) -> int:
        """The size of the file, including free pages."""
        return self._size_bytes

    @property
    def size_in_use_bytes(self) -> int:
        pages = 0
        for database in self._databases.values():
            found = self._reader.stat(database)
            pages += found["branch_pages"] + found["leaf_pages"] + found["overflow_pages"]
        page_bytes: int = self._env.stat()["psize"]
        return pages * page_bytes

    def close(self) -> None:
        """Close the file. Buffered writes are lost, as in a crash.

        The caller must not call this method during a flush.
        """
        self._reader.abort()
        self._env.close()

    def _disk_error(self, what: str, problem: Exception) -> DiskError:
        if isinstance(problem, lmdb.MapFullError):
            return DiskError(
                f"{what} {self._path}: the backend is full at {self._map_size_bytes} bytes; "
                "increase --quota-backend-bytes, or compact and restart"
            )
        if isinstance(problem, lmdb.MemoryError):
            return DiskError(
                f"{what} {self._path}: no address space for {self._map_size_bytes} bytes; "
                "decrease --quota-backend-bytes"
            )
        return DiskError(f"{what} {self._path}: {problem}")


def _write(
    transaction: Any, database: Any, bucket: bytes, writes: Writes, digest: ContentDigest
) -> None:
    stored = {
        key: None if value is None else with_crc(bucket, key, value)
        for key, value in writes.items()
    }
    for key, new in stored.items():
        digest.replace(transaction.get(key, db=database), new)
    # All pairs are written in key order and in one call. Separate calls would pass the
    # interpreter's lock to and fro between this thread and a busy event loop.
    cursor = transaction.cursor(database)
    cursor.putmulti(sorted((key, value) for key, value in stored.items() if value is not None))
    for key, value in stored.items():
        if value is None:
            transaction.delete(key, db=database)


def _stored(reader: Any, database: Any, start: bytes, end: bytes | None) -> Pairs:
    cursor = reader.cursor(database)
    # LMDB has no empty key, so an empty `start` means the first key.
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
