"""The flushed backend becomes the member's snapshot, unless a later snapshot is being received."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

from splitbrain.node.apply.flush_and_snapshot import BackendFlusher
from splitbrain.node.config import Config
from splitbrain.node.failpoint import Failpoints
from splitbrain.node.member_metrics import MemberMetrics
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.mvcc.store import Store
from splitbrain.node.raft.config import Config as RaftConfig
from splitbrain.node.raft.message import Entry, Message, MessageType, Snapshot, SnapshotMetadata
from splitbrain.node.raft.raft import Raft
from splitbrain.node.real.world import RealWorld
from splitbrain.node.step_trace import WritePath
from splitbrain.node.storage.memory_backend import MemoryBackend
from splitbrain.node.wakeup import Wakeup

OURS, LEADER = 1, 2
CONFIG = Config(
    name="n1",
    data_dir="d",
    initial_cluster=(("n1", ("http://p:1",)), ("n2", ("http://p:2",))),
    listen_client_urls=("http://c:1",),
    advertise_client_urls=("http://c:1",),
    listen_peer_urls=("http://p:1",),
    snapshot_count=10,
    backend_batch_operations_max=1,
)


def member_with_applied(last: int) -> tuple[Raft, MemoryBackend]:
    raft = Raft(RaftConfig(id=OURS, voters=(OURS, LEADER)), Random(1))
    entries = tuple(Entry(1, index) for index in range(1, last + 1))
    raft.step(Message(MessageType.APP, OURS, LEADER, 1, commit=last, entries=entries))
    while raft.has_ready():
        raft.advance(raft.ready())
    assert raft.log.applied == last
    backend = MemoryBackend()
    Store(backend).set_consistent_index(last, 1)
    return raft, backend


async def own_snapshots(
    tmp_path: Path, raft: Raft, backend: MemoryBackend
) -> list[SnapshotMetadata]:
    """The snapshots that the backend flusher saves after a flush."""
    saved: list[SnapshotMetadata] = []

    async def save_snapshot(metadata: SnapshotMetadata) -> None:
        saved.append(metadata)

    storage = SimpleNamespace(
        backend=backend, snapshot=SnapshotMetadata(), save_snapshot=save_snapshot
    )
    world = RealWorld("n1", tmp_path, seed=1, trace_path=None, backend_quota_bytes=2**20)
    flusher = BackendFlusher(
        world=world,
        config=CONFIG,
        path=WritePath(world, "n1", Failpoints(world), tracing=False),
        storage=cast("MemberStorage", storage),
        store=Store(backend),
        raft=raft,
        metrics=MemberMetrics(OURS, "3.5.1"),
        flushed=Wakeup(),
    )
    flusher.schedule_flush()
    running = asyncio.create_task(flusher.run())
    try:
        for _ in range(20):
            await asyncio.sleep(0)
        if running.done():
            await running
    finally:
        running.cancel()
    return saved


def test_a_flush_after_snapshot_count_entries_takes_a_snapshot(tmp_path: Path) -> None:
    raft, backend = member_with_applied(20)
    saved = asyncio.run(own_snapshots(tmp_path, raft, backend))
    assert [metadata.index for metadata in saved] == [20]


def test_no_snapshot_is_taken_while_a_later_one_from_the_leader_is_not_persisted(
    tmp_path: Path,
) -> None:
    raft, backend = member_with_applied(20)
    received = Snapshot(SnapshotMetadata(50, 1), b"")
    raft.step(Message(MessageType.SNAP, OURS, LEADER, 1, snapshot=received))
    assert raft.log.snapshot.index == 50
    assert asyncio.run(own_snapshots(tmp_path, raft, backend)) == []
