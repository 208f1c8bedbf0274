"""The backend in memory with the durability of LMDB, for simulation and tests.

`crash()` simulates a power loss: only the committed transactions are left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sortedcontainers import SortedDict

from splitbrain.node.backend import BUCKETS, Run
from splitbrain.node.storage.backend_copy import check_copy, decode_copy, encode_copy
from splitbrain.node.storage.write_buffer import Pairs, WriteBuffer, Writes, overlaid

T = TypeVar("T")


async def run_at_once(work: Callable[[], T]) -> T:
    """Run `work` after all other ready tasks, as a thread would. `work` takes no time."""
    await asyncio.sleep(0)
    return work()


class MemoryBackend:
    """A backend in memory. `run` decides how long a commit takes, and can raise DiskError."""

    def __init__(self, *, run: Run = run_at_once) -> None:
        self._run = run
        self._buffer = WriteBuffer(BUCKETS)
        self._flushing = asyncio.Lock()
        self._committed: dict[bytes, Any] = {bucket: SortedDict() for bucket in BUCKETS}

    def put(self, bucket: bytes, key: bytes, value: bytes) -> None:
        self._buffer.write(bucket, key, value)

    def delete(self, bucket: bytes, key: bytes) -> None:
        self._buffer.write(bucket, key, None)

    def get(self, bucket: bytes, key: bytes) -> bytes | None:
        decided, value = self._buffer.find(bucket, key)
        if decided:
            return value
        found: bytes | None = self._committed[bucket].get(key)
        return found

    def range(
        self, bucket: bytes, start: bytes, end: bytes | None = None, limit: int = 0
    ) -> Iterator[tuple[bytes, bytes]]:
        pairs = list(self._overlaid(bucket, start, end))
        return iter(pairs[:limit] if limit > 0 else pairs)

    def _overlaid(self, bucket: bytes, start: bytes = b"", end: bytes | None = None) -> Pairs:
        committed = self._committed[bucket]
        pairs = [(key, committed[key]) for key in committed.irange(start, end, (True, False))]
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
        for bucket, writes in batch.items():
            committed = self._committed[bucket]
            for key, value in writes.items():
                if value is None:
                    committed.pop(key, None)
                else:
                    committed[key] = value

    async def snapshot(self) -> bytes:
        content = [(bucket, list(self._overlaid(bucket))) for bucket in BUCKETS]
        return await self._run(lambda: encode_copy(content))

    async def replace_with(self, snapshot: bytes) -> None:
        """Replace the content by `snapshot`. Raises CopyCorrupt, without any change."""
        check_copy(snapshot)
        async with self._flushing:
            await self._run(lambda: self._replace(snapshot))
            self._buffer.discard()

    def _replace(self, snapshot: bytes) -> None:
        replaced: dict[bytes, Any] = {bucket: SortedDict() for bucket in BUCKETS}
        for bucket, key, value in decode_copy(snapshot):
            replaced[bucket][key] = value
        self._committed = replaced

    @property
    def size_bytes(self) -> int:
        return self.size_in_use_bytes

    @property
    def size_in_use_bytes(self) -> int:
        return sum(
            len(key) + len(value)
            for committed in self._committed.values()
            for key, value in committed.items()
        )

    def crash(self) -> None:
        """Discard all writes that are not committed, as a power loss does.

        If a commit was started with `run`, it must have ended, or the caller must cancel it before
        it changes the content.
        """
        self._buffer.discard()
        self._flushing = asyncio.Lock()

    def close(self) -> None:
        """Close the backend. Buffered writes are lost, as in a crash."""
        self.crash()
