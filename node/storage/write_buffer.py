"""Writes that a backend has taken and not yet made durable, laid over what it has.

Two layers: `pending` takes new writes, `in_flight` is the batch that a flush is now
writing. A reader asks pending, then in-flight, then what is committed. Within a batch
the last write to a key wins, which is all that order means for writes that become
visible to a crash together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Writes = dict[bytes, bytes | None]
"""What a bucket's keys become; None: deleted."""
Pairs = Iterator[tuple[bytes, bytes]]


class WriteBuffer:
    """The layers of each bucket. Raises KeyError for a bucket that is not one of `buckets`."""

    def __init__(self, buckets: Iterable[bytes]) -> None:
        self.pending: dict[bytes, Writes] = {bucket: {} for bucket in buckets}
        self.in_flight: dict[bytes, Writes] = {bucket: {} for bucket in buckets}
        self.operations = 0

    def write(self, bucket: bytes, key: bytes, value: bytes | None) -> None:
        self.pending[bucket][key] = value
        self.operations += 1

    def find(self, bucket: bytes, key: bytes) -> tuple[bool, bytes | None]:
        """Whether a layer decides `key`, and as what."""
        pending = self.pending[bucket]
        if key in pending:
            return True, pending[key]
        in_flight = self.in_flight[bucket]
        if key in in_flight:
            return True, in_flight[key]
        return False, None

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to flush."""
        return not self.operations and not any(self.in_flight.values())

    def begin_flush(self) -> dict[bytes, Writes]:
        """What is pending becomes the batch in flight. If the flush before was cancelled,
        nobody knows whether its batch was committed: then it goes with this one, once more
        or for the first time, which is the same."""
        self.in_flight = {
            bucket: {**self.in_flight[bucket], **writes} for bucket, writes in self.pending.items()
        }
        self.pending = {bucket: {} for bucket in self.in_flight}
        self.operations = 0
        return self.in_flight

    def end_flush(self) -> None:
        """The batch in flight is committed: what is committed answers for it from now on."""
        self.in_flight = {bucket: {} for bucket in self.in_flight}

    def discard(self) -> None:
        """Forget all, as a crash does."""
        self.pending = {bucket: {} for bucket in self.pending}
        self.end_flush()
        self.operations = 0

    def capture(self, bucket: bytes, start: bytes = b"", end: bytes | None = None) -> Writes:
        """Both layers of a part of a bucket as one, in key order; later writes do not touch it."""
        merged: Writes = {}
        for layer in (self.in_flight[bucket], self.pending[bucket]):
            for key, value in layer.items():
                if key >= start and (end is None or key < end):
                    merged[key] = value
        return dict(sorted(merged.items()))


def overlaid(committed: Pairs, writes: Writes) -> Pairs:
    """`committed`, in key order, as `writes`, in key order, change it."""
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
