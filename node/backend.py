"""The key-value file that follows the store: the protocol that LMDB and memory share.

Writes are buffered in order and become durable together, batch by batch; a reader
sees its own member's buffered writes at once. After a crash exactly a prefix of the
batches is there, each whole.

Source: the role of bbolt and its batch transaction in etcd (server/storage/backend).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")

BUCKETS = (b"key", b"lease", b"meta", b"members")
"""All buckets there are, in order: another one needs a place here."""


class Run(Protocol):
    """Do work that may block, away from the event loop. The world supplies it."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class Backend(Protocol):
    def put(self, bucket: bytes, key: bytes, value: bytes) -> None:
        """Buffer a write. Buckets are few and fixed: b"key", b"meta", …"""
        ...

    def delete(self, bucket: bytes, key: bytes) -> None: ...

    def get(self, bucket: bytes, key: bytes) -> bytes | None: ...

    def range(
        self, bucket: bytes, start: bytes, end: bytes | None = None, limit: int = 0
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs in key order from `start` up to, not including, `end` (None: to the last)."""
        ...

    @property
    def pending_operations(self) -> int:
        """Writes buffered and not yet handed to a flush."""
        ...

    async def flush(self) -> None:
        """Make all buffered so far durable, in one transaction. Raises DiskError."""
        ...

    async def snapshot(self) -> bytes:
        """A whole, consistent copy of what is there, buffered writes included."""
        ...

    async def replace_with(self, snapshot: bytes) -> None:
        """Become what `snapshot` holds, atomically and durably; buffered writes are void."""
        ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def size_in_use_bytes(self) -> int: ...

    def close(self) -> None: ...
