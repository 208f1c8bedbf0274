"""The backend on a simulated disk. Its data is in memory, and it has the durability of LMDB.

A committed transaction survives any crash as a whole. Buffered writes are lost with the process. If
a commit is running when the process or the machine stops, the commit takes effect as a whole or not
at all, because LMDB switches its root in one write.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from splitbrain.node.backend import Run
from splitbrain.node.storage.memory_backend import Committed, MemoryBackend
from splitbrain.node.storage.pair_check import CRC_BYTES
from splitbrain.node.storage.write_buffer import Writes

PAGE_BYTES = 4096


class StoredBackend(Committed):
    """The backend's file on the disk: the committed entries of each bucket."""

    def __init__(self) -> None:
        super().__init__()
        self.content_bytes = 0
        self.commits = 0
        self.running_commit: Callable[[], object] | None = None

    def lose_power(self, random: Random) -> None:
        self.stop_at_once(random)

    def stop_at_once(self, random: Random) -> bool | None:
        """Handle the end of the process or a power loss.

        A running commit takes effect with probability one half. Returns whether it took effect, or
        None if no commit was running.
        """
        work, self.running_commit = self.running_commit, None
        if work is None:
            return None
        takes_effect = random.random() < 0.5
        if takes_effect:
            work()
        return takes_effect


class SimulatedBackend(MemoryBackend):
    """The backend as one process sees it. `run` executes each commit after a delay of the disk."""

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
        self._stored.commits += 1
        super()._commit(batch)

    def _replace(self, snapshot: bytes) -> None:
        super()._replace(snapshot)
        self._stored.content_bytes = sum(
            len(key) + len(stored) - CRC_BYTES
            for pairs in self._stored.buckets.values()
            for key, stored in pairs.items()
        )
        self._stored.commits += 1

    @property
    def size_bytes(self) -> int:
        return PAGE_BYTES + -(-self._stored.content_bytes // PAGE_BYTES) * PAGE_BYTES

    @property
    def size_in_use_bytes(self) -> int:
        return self._stored.content_bytes
