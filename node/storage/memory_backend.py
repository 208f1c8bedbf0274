"""Implements the backend in memory, with the durability of LMDB, for simulation and tests.

`crash()` simulates a power loss: afterwards the backend contains only the committed transactions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sortedcontainers import SortedDict

from splitbrain.node.backend import BUCKETS, Run
from splitbrain.node.storage.content_checksums import (
    CRC_BYTES,
    ContentDigest,
    decode_digest,
    missing,
    value_of,
    with_crc,
)
from splitbrain.node.storage.snapshot_encoding import check_copy, decode_copy, encode_copy
from splitbrain.node.storage.write_buffer import Pairs, WriteBuffer, Writes, overlaid

T = TypeVar("T")


async def run_at_once(work: Callable[[], T]) -> T:
    """Let other ready tasks run, as with a thread, and then run `work`. Takes no simulated time."""
    await asyncio.sleep(0)
    return work()


class Committed:
    """The simulated file: the stored pairs of each bucket, and the digest of all pairs."""

    def __init__(self) -> None:
        self.buckets: dict[bytes, Any] = {bucket: SortedDict() for bucket in BUCKETS}
        self.digest: bytes | None = None

    def put(self, bucket: bytes, key: bytes, stored: bytes | None) -> bytes | None:
        """Replace a pair, or remove it if `stored` is None.

        Returns the value that was stored before, or None.
        """
        pairs = self.buckets[bucket]
        old: bytes | None = pairs.get(key)
        if stored is not None:
            pairs[key] = stored
        elif old is not None:
            del pairs[key]
        return old

    def copy(self) -> Committed:
        copied = Committed()
        copied.digest = self.digest
        for bucket, pairs in self.buckets.items():
            copied.buckets[bucket].update(pairs)
        return copied

    def clear(self) -> None:
        for pairs in self.buckets.values():
            pairs.clear()


class MemoryBackend:
    """A backend in memory.

    `run` executes each commit. It decides how long the commit takes, and can raise DiskError.
    """

    def __init__(self, *, run: Run = run_at_once) -> None:
        self._run = run
        self._buffer = WriteBuffer(BUCKETS)
        self._flushing = asyncio.Lock()
        self._committed = Committed()

    def put(self, bucket: bytes, key: bytes, value: bytes) -> None:
        self._buffer.write(bucket, key, value)

    def delete(self, bucket: bytes, key: bytes) -> None:
        self._buffer.write(bucket, key, None)

    def get(self, bucket: bytes, key: bytes) -> bytes | None:
        decided, value = self._buffer.find(bucket, key)
        if decided:
            return value
        stored: bytes | None = self._committed.buckets[bucket].get(key)
        return None if stored is None else value_of(bucket, key, stored)

    def require(self, bucket: bytes, key: bytes) -> bytes:
        found = self.get(bucket, key)
        if found is None:
            raise missing(bucket, key)
        return found

    def range(
        self, bucket: bytes, start: bytes, end: bytes | None = None, limit: int = 0
    ) -> Iterator[tuple[bytes, bytes]]:
        pairs = list(self._overlaid(bucket, start, end))
        return iter(pairs[:limit] if limit > 0 else pairs)

    def _overlaid(self, bucket: bytes, start: bytes = b"", end: bytes | None = None) -> Pairs:
        committed = self._committed.buckets[bucket]
        pairs = [
            (key, value_of(bucket, key, committed[key]))
            for key in committed.irange(start, end, (True, False))
        ]
        return overlaid(iter(pairs), self._buffer.capture(bucket, start, end))

    @property
    def pending_operations(self) -> int:
        return self._buffer.operations

    async def flush(self) -> None:
        async with self._flushing:
            if self._buffer.is_clean:
                return
            batch = self._buffer.begin_flush()
            await self._run(lambda: self._commit(batch))
            self._buffer.end_flush()

    def _commit(self, batch: dict[bytes, Writes]) -> None:
        committed = self._committed
        digest = decode_digest(committed.digest)
        for bucket, writes in batch.items():
            for key, value in writes.items():
                stored = None if value is None else with_crc(bucket, key, value)
                digest.replace(committed.put(bucket, key, stored), stored)
        committed.digest = digest.encode()

    async def snapshot(self) -> bytes:
        self.check()
        content = [(bucket, list(self._overlaid(bucket))) for bucket in BUCKETS]
        return await self._run(lambda: encode_copy(content))

    async def replace_with(self, snapshot: bytes) -> None:
        """Replace the content by `snapshot`. Raises CopyCorrupt before anything is changed."""
        check_copy(snapshot)
        async with self._flushing:
            await self._run(lambda: self._replace(snapshot))
            self._buffer.discard()

    def _replace(self, snapshot: bytes) -> None:
        digest = ContentDigest()
        self._committed.clear()
        for bucket, key, value in decode_copy(snapshot):
            stored = with_crc(bucket, key, value)
            digest.replace(self._committed.put(bucket, key, stored), stored)
        self._committed.digest = digest.encode()

    async def defragment(self) -> None:
        async with self._flushing:
            await self._run(self._defragment)

    def _defragment(self) -> None:
        """Only commit the buffered writes: a file in memory has no free pages."""

    def check(self) -> None:
        committed = self._committed
        decode_digest(committed.digest).check(
            (bucket, key, stored)
            for bucket, pairs in committed.buckets.items()
            for key, stored in pairs.items()
        )

    @property
    def size_bytes(self) -> int:
        return self.size_in_use_bytes

    @property
    def size_in_use_bytes(self) -> int:
        return sum(
            len(key) + len(stored) - CRC_BYTES
            for committed in self._committed.buckets.values()
            for key, stored in committed.items()
        )

    def crash(self) -> None:
        """Discard all writes that are not committed, as a power loss does.

        If `run` is executing a commit, the caller must first wait until the commit has ended, or
        cancel it before it changes the content.
        """
        self._buffer.discard()
        self._flushing = asyncio.Lock()

    def close(self) -> None:
        """Close the backend. Buffered writes are lost, as in a crash."""
        self.crash()
