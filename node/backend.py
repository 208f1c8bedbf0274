"""Declares the interface of the backend, the key-value file of a store.

There are two implementations: LMDB, and a backend in memory. Writes are buffered in order and
become durable in batches. Reads see buffered writes at once. After a crash, the backend contains
all batches up to some point, and nothing of later batches.

Source: the role of bbolt and its batch transaction in etcd (server/storage/backend).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")

BUCKETS = (b"key", b"lease", b"meta", b"members", b"alarm", b"auth", b"authUsers", b"authRoles")
"""The names of all buckets, in order. A new bucket must be added here."""


class Run(Protocol):
    """Runs a function that may block, outside the event loop.

    The world supplies the implementation.
    """

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class Backend(Protocol):
    """A key-value file with buckets. Writes are buffered until `flush` makes them durable."""

    def put(self, bucket: bytes, key: bytes, value: bytes) -> None:
        """Buffer a write. `bucket` is one of `BUCKETS`."""
        ...

    def delete(self, bucket: bytes, key: bytes) -> None:
        """Buffer a deletion. A missing key is no error."""
        ...

    def get(self, bucket: bytes, key: bytes) -> bytes | None:
        """Return the value of `key`, or None if there is none."""
        ...

    def require(self, bucket: bytes, key: bytes) -> bytes:
        """Return the value of a key that must exist. Raises BackendDamaged if it does not."""
        ...

    def range(
        self, bucket: bytes, start: bytes, end: bytes | None = None, limit: int = 0
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return at most `limit` (0: all) pairs, in key order.

        The keys are from `start` up to, not including, `end` (None: no end).
        """
        ...

    @property
    def pending_operations(self) -> int:
        """The number of buffered writes that are not part of a flush yet."""
        ...

    async def flush(self) -> None:
        """Make all buffered writes durable, in one transaction. Raises DiskError."""
        ...

    async def snapshot(self) -> bytes:
        """Return a consistent copy of the whole content, with the buffered writes."""
        ...

    async def replace_with(self, snapshot: bytes) -> None:
        """Replace the content by `snapshot`, atomically and durably. Drop buffered writes."""
        ...

    async def defragment(self) -> None:
        """Rewrite the file without its free pages.

        Flushes wait during this time, but reads do not. If the member crashes during the call, the
        next start finds the old file or the new one. Raises DiskError.
        """
        ...

    def check(self) -> None:
        """Check that the durable content is exactly the content that was flushed.

        Raises BackendDamaged (a DiskError) if it is not. Every other method also raises
        BackendDamaged when it reads a damaged pair. The member must then stop.
        """
        ...

    @property
    def size_bytes(self) -> int:
        """The size of the file, including free pages."""
        ...

    @property
    def size_in_use_bytes(self) -> int:
        """The size of the file without its free pages."""
        ...

    def close(self) -> None:
        """Close the file. Buffered writes are lost, as in a crash."""
        ...
