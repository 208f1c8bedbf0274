"""The backend follows the store: in batches, and with it the log may be let go.

What is applied is readable at once, and reaches the backend's file a little later, many
entries in one transaction, the consistent index in the same one. Now and then what the
backend holds durably counts as a snapshot, and the log before it is discarded, less some
for followers that are a little slow.

Source: etcd's backend batch (100 ms or 10,000 operations) and its snapshot trigger.
"""

from __future__ import annotations

import asyncio

from splitbrain.node.config import Config
from splitbrain.node.member_metrics import MemberMetrics
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.mvcc.store import Store
from splitbrain.node.raft.message import Index, SnapshotMetadata
from splitbrain.node.raft.raft import Raft
from splitbrain.node.world import Timer, World
from splitbrain.node.write_path import Traced, WritePath


class BackendFlusher:
    """`run` is the task that flushes; `follow` tells it that something was applied."""

    def __init__(
        self,
        world: World,
        config: Config,
        path: WritePath,
        storage: MemberStorage,
        store: Store,
        raft: Raft,
        metrics: MemberMetrics,
    ) -> None:
        self._world = world
        self._config = config
        self._path = path
        self._storage = storage
        self._backend = storage.backend
        self._store = store
        self._raft = raft
        self._metrics = metrics
        self._due = asyncio.Event()
        self._timer: Timer | None = None
        self._flushed = Traced()
        self.is_full = False
        """Whether the backend holds more than its quota."""

    def follow(self) -> None:
        """See that what was just applied is flushed: soon, or now if it is much."""
        many = self._config.backend_batch_operations_max
        if self._world.buggify("the backend is flushed at once"):
            many = 0
        if self._backend.pending_operations >= many:
            self._due.set()
        elif self._timer is None:
            self._timer = self._world.clock.call_later(
                self._config.backend_batch_interval_ms / 1000, self._due.set
            )

    async def run(self) -> None:
        """Never returns. Raises DiskError: then the member must stop."""
        while True:
            await self._due.wait()
            self._due.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            await self.flush()
            while self._store.removals_pending:
                self._store.remove_compacted()
                await self.flush()
            if self._snapshot_due():
                await self._take_snapshot()

    async def flush(self) -> None:
        """Make durable what is applied now: step 10's second half."""
        store = self._store
        subject = Traced(index=store.consistent_index, term=store.consistent_term)
        revision = store.revision
        await self._path.before("backend_flush")
        began_ns = self._world.clock.monotonic_ns()
        await self._backend.flush()
        self._metrics.backend_committed(self._world.clock.monotonic_ns() - began_ns)
        await self._path.after("backend_flush", subject, revision=revision)
        self._flushed = subject
        self.is_full = self._backend.size_in_use_bytes > self._config.backend_quota_bytes

    def _snapshot_due(self) -> bool:
        # Raft's newest: a leader's may be on its way to the disk, and is ahead of all this.
        newest = self._raft.log.snapshot.index
        return self._flushed.index - newest >= self._config.snapshot_count

    async def _take_snapshot(self) -> None:
        metadata = self._raft.create_snapshot(self._flushed.index)
        await self._storage.save_snapshot(metadata)
        needless = self._needless_up_to(metadata)
        if needless > 0:
            self._raft.compact(needless)
        self._world.log("info", "took a snapshot", index=metadata.index, term=metadata.term)

    def _needless_up_to(self, snapshot: SnapshotMetadata) -> Index:
        """The last entry that neither a follower nor Raft itself needs any more.

        Raft counts entries as applied when all of their Ready is done, which may wait for
        the log's disk longer than the store and its backend took.
        """
        return min(snapshot.index - self._config.catch_up_entries, self._raft.log.applied)
