"""The backend on a simulated disk. Its data is in memory, and it has the durability of LMDB.

A committed transaction survives any crash as a whole. Buffered writes are lost with the process.
LMDB switches its root in one write. Therefore, if a commit is running when the process or the
machine stops, the commit takes effect as a whole or not at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Protocol

from splitbrain.node.backend import Run
from splitbrain.node.storage.content_checksums import CRC_BYTES
from splitbrain.node.storage.memory_backend import Committed, MemoryBackend
from splitbrain.node.storage.write_buffer import Writes

PAGE_BYTES = 4096
COMMITS_REMEMBERED = 6
"""The backend remembers the content before each of its last commits, up to this number, for the
fault `LostSectors`."""
Place = tuple[bytes, bytes]
"""The bucket and the key of a pair."""


class FaultyDisk(Protocol):
    """The faults of the machine's disk that affect the backend's file.

    If `remembers` is True, the backend keeps the content that preceded each of the last commits.
    """

    random: Random
    remembers: bool

    def lies(self, path: str) -> bool: ...

    def misdirected(self, path: str, offset: int, size: int) -> int: ...

    def torn(self, path: str) -> Callable[[int], bool] | None: ...


class StoredBackend(Committed):
    """The backend's file on the disk: the committed pairs of each bucket.

    Faults of the disk affect single pairs, as they would affect the pages of LMDB that contain
    them.
    """

    def __init__(self, disk: FaultyDisk, path: str) -> None:
        super().__init__()
        self._disk = disk
        self._path = path
        self.content_bytes = 0
        self.file_bytes = 0
        """The size of the file. It does not decrease until the file is defragmented."""
        self.commits = 0
        self.running_commit: Callable[[], object] | None = None
        self._earlier: deque[Committed] = deque(maxlen=COMMITS_REMEMBERED)
        """The content before each of the last commits. It is empty unless the disk `remembers`."""
        self._not_durable: list[Committed] = []
        """The content before each commit whose sync reported success but made nothing durable."""
        self._torn: list[tuple[Place, bytes | None, bytes | None]] = []
        """What torn commits did not make durable: place, earlier value, committed value."""

    def commit(self, change: Callable[[], None]) -> None:
        """Call `change`, which commits a batch, and apply the faults of the disk to the commit."""
        lies, torn = self._disk.lies(self._path), self._disk.torn(self._path)
        astray = self._disk.misdirected(self._path, 1, 0) != 1
        faulty = lies or astray or torn is not None
        before = self.copy() if faulty or self._disk.remembers else None
        change()
        self.commits += 1
        if not lies:
            self._not_durable.clear()
        if before is None:
            return
        self._earlier.append(before)
        if lies:
            self._not_durable.append(before)
        if torn is not None:
            changed = self._changed_since(before)
            self._torn += [one for at, one in enumerate(changed) if torn(at)]
        if astray:
            self._misdirect(before)

    def _changed_since(
        self, before: Committed
    ) -> list[tuple[Place, bytes | None, bytes | None]]:
        """Return the places at which the content differs from `before`, in order.

        Each place has its value in `before` and its present value; None means that the key is
        absent.
        """
        return [
            ((bucket, key), earlier.get(key), pairs.get(key))
            for bucket, pairs in self.buckets.items()
            for earlier in (before.buckets[bucket],)
            for key in sorted({*earlier, *pairs})
            if earlier.get(key) != pairs.get(key)
        ]

    def _misdirect(self, before: Committed) -> None:
        """Move one value of the last commit to another key, as a misdirected write does."""
        written = [one for one in self._changed_since(before) if one[2] is not None]
        if not written:
            return
        (bucket, key), old, new = self._disk.random.choice(written)
        others = [one for one in self.buckets[bucket] if one != key]
        if others:
            self.put(bucket, self._disk.random.choice(others), new)
            self.put(bucket, key, old)

    def lose_power(self, random: Random) -> None:
        """Apply a power loss: decide about the running commit, and undo what is not durable.

        Torn commits, and commits whose sync had no effect, are not durable.
        """
        self.stop_at_once(random)
        for (bucket, key), old, new in self._torn:
            if self.buckets[bucket].get(key) == new:
                self.put(bucket, key, old)
        self._torn.clear()
        if self._not_durable:
            before = random.choice(self._not_durable)
            if random.random() < 0.5:
                self.restore(before)
            else:
                self._lose_pairs_since(before, random, count=None)
        self._not_durable.clear()

    def restore(self, earlier: Committed) -> None:
        """Replace all pairs by those of `earlier`."""
        for bucket, pairs in self.buckets.items():
            pairs.clear()
            pairs.update(earlier.buckets[bucket])
        self.digest = earlier.digest

    def lose_pairs(self, random: Random, count: int) -> list[str]:
        """Replace `count` neighbouring pairs by their values before a recent commit.

        Returns the places as `bucket/key`. The list is empty if no commit is remembered.
        """
        if not self._earlier:
            return []
        return self._lose_pairs_since(random.choice(self._earlier), random, count)

    def _lose_pairs_since(
        self, before: Committed, random: Random, count: int | None
    ) -> list[str]:
        changed = self._changed_since(before)
        if not changed:
            return []
        count = random.randint(1, len(changed)) if count is None else count
        first = random.randrange(len(changed))
        lost = changed[first : first + count]
        for (bucket, key), old, _ in lost:
            self.put(bucket, key, old)
        return [f"{bucket.decode()}/{key.hex()}" for (bucket, key), _, _ in lost]

    def rot(self, random: Random, bits: int) -> list[str]:
        """Flip `bits` bits of one value, chosen at random. Returns its place as `bucket/key`.

        The list that is returned is empty if the backend contains no pairs.
        """
        places = [(bucket, key) for bucket, pairs in self.buckets.items() for key in pairs]
        if not places:
            return []
        bucket, key = random.choice(places)
        stored = bytearray(self.buckets[bucket][key])
        for _ in range(bits):
            stored[random.randrange(len(stored))] ^= 1 << random.randrange(8)
        self.put(bucket, key, bytes(stored))
        return [f"{bucket.decode()}/{key.hex()}"]

    def stop_at_once(self, random: Random) -> bool | None:
        """Decide whether the running commit takes effect when its process or the power ends.

        The commit takes effect with probability one half. Returns whether it took effect, or None
        if no commit was running.
        """
        work, self.running_commit = self.running_commit, None
        if work is None:
            return None
        takes_effect = random.random() < 0.5
        if takes_effect:
            work()
        return takes_effect


class SimulatedBackend(MemoryBackend):
    """The backend as one process of a member sees it.

    `run` executes each commit and waits for as long as the disk needs for it.
    """

    def __init__(self, stored: StoredBackend, *, run: Run) -> None:
        super().__init__(run=run)
        self._stored = stored
        self._committed = stored

    def _commit(self, batch: dict[bytes, Writes]) -> None:
        grown = 0
        for bucket, writes in batch.items():
            committed = self._committed.buckets[bucket]
            for key, value in writes.items():
                old = committed.get(key)
                if old is not None:
                    grown -= len(key) + len(old) - CRC_BYTES
                if value is not None:
                    grown += len(key) + len(value)
        self._stored.content_bytes += grown
        self._stored.file_bytes = max(self._stored.file_bytes, self._stored.content_bytes)
        self._stored.commit(lambda: MemoryBackend._commit(self, batch))

    def _replace(self, snapshot: bytes) -> None:
        self._stored.commit(lambda: MemoryBackend._replace(self, snapshot))
        self._stored.content_bytes = sum(
            len(key) + len(stored) - CRC_BYTES
            for pairs in self._stored.buckets.values()
            for key, stored in pairs.items()
        )
        self._stored.file_bytes = max(self._stored.file_bytes, self._stored.content_bytes)

    def _defragment(self) -> None:
        self._stored.file_bytes = self._stored.content_bytes

    @property
    def size_bytes(self) -> int:
        return PAGE_BYTES + -(-self._stored.file_bytes // PAGE_BYTES) * PAGE_BYTES

    @property
    def size_in_use_bytes(self) -> int:
        return self._stored.content_bytes
