"""Buffers the writes that a backend has accepted and that are not durable yet.

There are two layers. `pending` contains new writes, and `in_flight` is the batch that a flush is
writing. A read looks first in `pending`, then in `in_flight`, then in the committed content. A
batch keeps only the last write to each key, because the batch becomes durable as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Writes = dict[bytes, bytes | None]
"""The new values of keys in one bucket. None means that the key is deleted."""
Pairs = Iterator[tuple[bytes, bytes]]


class WriteBuffer:
    """The buffered writes of each bucket, in two layers: `pending` and `in_flight`.

    All methods raise KeyError for an unknown bucket.
    """

    def __init__(self, buckets: Iterable[bytes]) -> None:
        self.pending: dict[bytes, Writes] = {bucket: {} for bucket in buckets}
        self.in_flight: dict[bytes, Writes] = {bucket: {} for bucket in buckets}
        self.operations = 0

    def write(self, bucket: bytes, key: bytes, value: bytes | None) -> None:
        self.pending[bucket][key] = value
        self.operations += 1

    def find(self, bucket: bytes, key: bytes) -> tuple[bool, bytes | None]:
        """Return whether a write of `key` is buffered, and the value that it writes.

        The value is None if the write deletes the key, or if there is no write.
        """
        pending = self.pending[bucket]
        if key in pending:
            return True, pending[key]
        in_flight = self.in_flight[bucket]
        if key in in_flight:
            return True, in_flight[key]
        return False, None

    @property
    def is_clean(self) -> bool:
        """Whether no write is buffered."""
        return not self.operations and not any(self.in_flight.values())

    def begin_flush(self) -> dict[bytes, Writes]:
        """Move the pending writes into the batch in flight, and return this batch.

        If the previous flush was cancelled, its batch is still in flight, and it is unknown whether
        it was committed. The new batch then also contains the writes of the previous one.
        Committing a write twice is harmless.
        """
        self.in_flight = {
            bucket: {**self.in_flight[bucket], **writes} for bucket, writes in self.pending.items()
        }
        self.pending = {bucket: {} for bucket in self.in_flight}
        self.operations = 0
        return self.in_flight

    def end_flush(self) -> None:
        """Drop the batch in flight, because it is committed now."""
        self.in_flight = {bucket: {} for bucket in self.in_flight}

    def discard(self) -> None:
        """Drop all buffered writes, as a crash does."""
        self.pending = {bucket: {} for bucket in self.pending}
        self.end_flush()
        self.operations = 0

    def capture(self, bucket: bytes, start: bytes = b"", end: bytes | None = None) -> Writes:
        """Return the buffered writes to a range of keys of `bucket`, in key order.

        The range is from `start` up to, not including, `end` (None: no end). If both layers contain
        a write to a key, the one in `pending` is returned. The result is a copy, which later writes
        do not change.
        """
        merged: Writes = {}
        for layer in (self.in_flight[bucket], self.pending[bucket]):
            for key, value in layer.items():
                if key >= start and (end is None or key < end):
                    merged[key] = value
        return dict(sorted(merged.items()))


def overlaid(committed: Pairs, writes: Writes) -> Pairs:
    """Return the pairs of `committed` after `writes`.

    Both are in key order, and so is the result.
    """
    if not writes:
        yield from committed
        return
    changes = iter(writes.items())
    change = next(changes, None)
    for key, value in committed:
        while change is not None and change[0] < key:
            if change[1] is not None:
                yield change[0], change[1]
            change = next(changes, None)
        if change is not None and change[0] == key:
            if change[1] is not None:
                yield key, change[1]
            change = next(changes, None)
        else:
            yield key, value
    while change is not None:
        if change[1] is not None:
            yield change[0], change[1]
        change = next(changes, None)
