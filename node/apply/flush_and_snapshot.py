"""Flushes the backend in batches, takes snapshots, and compacts the Raft log.

An applied entry can be read at once. It reaches the backend's file later, in one transaction with
other entries and with the index of the last of them (etcd's consistent index). After every
`snapshot_count` entries, the flusher records the durable content of the backend as a snapshot. It
then discards the log before the snapshot, except for some entries that slow followers may need.

Source: etcd's backend batch (100 ms or 10,000 operations) and its snapshot trigger.
"""

from __future__ import annotations

import asyncio

from splitbrain.node.config import Config
from splitbrain.node.member_metrics import MemberMetrics
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.mvcc.store import REMOVALS_AT_ONCE, Store
from splitbrain.node.raft.message import Index, SnapshotMetadata
from splitbrain.node.raft.raft import Raft
from splitbrain.node.step_trace import Traced, WritePath
from splitbrain.node.wakeup import Wakeup
from splitbrain.node.world import Timer, World


class BackendFlusher:
    """Flushes the backend.

    `run` is the task. `schedule_flush` is called when entries are applied.
    """

    def __init__(
        self,
        *,
        world: World,
        config: Config,
        path: WritePath,
        storage: MemberStorage,
        store: Store,
        raft: Raft,
        metrics: MemberMetrics,
        flushed: Wakeup,
    ) -> None:
        self._world = world
        self._config = config
        self._path = path
        self._storage = storage
        self._backend = storage.backend
        self._store = store
        self._raft = raft
        self._metrics = metrics
        self._due = Wakeup()
        self._timer: Timer | None = None
        self._flushed = Traced()
        self._after_flush = flushed
        self._waiting: list[tuple[Index, asyncio.Future[None]]] = []
        """The callers of `flush_all`, each with the entry that must be flushed."""

    @property
    def size_bytes(self) -> int:
        """The size of the backend's file, which the space quota limits."""
        return self._backend.size_bytes

    def schedule_flush(self) -> None:
        """Schedule a flush: after the batch interval, or at once if the batch is full."""
        operations_max = self._config.backend_batch_operations_max
        if self._world.buggify("the backend is flushed at once"):
            operations_max = 0
        if self._backend.pending_operations >= operations_max:
            self._due.set()
        elif self._timer is None:
            self._timer = self._world.clock.call_later(
                self._config.backend_batch_interval_ms / 1000, self._due.set
            )

    async def flush_all(self) -> None:
        """Wait until all applied entries are durable, and all compacted revisions are removed.

        The caller waits forever if the member stops.
        """
        flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._store.consistent_index, flushed))
        self._due.set()
        await flushed

    def _answer_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for index, flushed in waiting:
            if index > self._flushed.index:
                self._waiting.append((index, flushed))
                self._due.set()
            elif not flushed.done():
                flushed.set_result(None)

    async def run(self) -> None:
        """Flush the backend whenever a flush is due. Does not return. Raises DiskError."""
        while True:
            await self._due.wait()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            await self.flush()
            while self._store.removals_pending:
                self._store.remove_compacted(self._removals_at_once())
                await self.flush()
            self._answer_waiting()
            if self._snapshot_due():
                await self._take_snapshot()

    def _removals_at_once(self) -> int:
        few = self._world.buggify("few compacted changes are removed at once")
        return 3 if few else REMOVALS_AT_ONCE

    async def flush(self) -> None:
        """Write all applied entries to the backend's file.

        This completes step 10 of the write path.
        """
        store = self._store
        subject = Traced(index=store.consistent_index, term=store.consistent_term)
        revision = store.revision
        await self._path.before("backend_flush")
        began_ns = self._world.clock.monotonic_ns()
        await self._backend.flush()
        self._metrics.backend_committed(self._world.clock.monotonic_ns() - began_ns)
        await self._path.after("backend_flush", subject, revision=revision)
        self._flushed = subject
        self._after_flush.set()

    def _snapshot_due(self) -> bool:
        # Raft's newest snapshot may be a leader's snapshot that is not on the disk yet, and that
        # is ahead of the backend.
        newest = self._raft.log.snapshot.index
        return self._flushed.index - newest >= self._config.snapshot_count

    async def _take_snapshot(self) -> None:
        metadata = self._raft.create_snapshot(self._flushed.index)
        await self._path.before("snapshot_take")
        await self._storage.save_snapshot(metadata)
        await self._path.reached_after("snapshot_take")
        index = self._compactable_index(metadata)
        if index > 0:
            self._raft.compact(index)
        self._world.log("info", "took a snapshot", index=metadata.index, term=metadata.term)

    def _compactable_index(self, snapshot: SnapshotMetadata) -> Index:
        """Return the index up to which the log can be compacted after `snapshot` was taken.

        The log keeps two kinds of entries:

        - entries that slow followers may need
        - entries that Raft does not yet treat as applied

        Raft treats entries as applied when the whole Ready that contains them is processed. With a
        slow WAL, this can be later than the flush of the backend.
        """
        return min(snapshot.index - self._config.catch_up_entries, self._raft.log.applied)
