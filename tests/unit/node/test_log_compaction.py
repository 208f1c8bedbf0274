"""The Raft log keeps the entries of a Ready in progress, even if a snapshot contains them."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any

from splitbrain.node.apply.flush_and_snapshot import BackendFlusher
from splitbrain.node.failpoint import Failpoints
from splitbrain.node.raft.config import Config
from splitbrain.node.raft.raft import Raft
from splitbrain.node.step_trace import Traced, WritePath
from splitbrain.node.storage.memory_backend import MemoryBackend


class Storage:
    """The part of a member's storage that the backend flusher uses."""

    backend = MemoryBackend()

    def __init__(self) -> None:
        self.saved: list[Any] = []

    async def save_snapshot(self, metadata: Any) -> None:
        self.saved.append(metadata)


def leader_with(entries: int) -> Raft:
    """The leader of a cluster of one, with `entries` in a Ready that is not advanced yet."""
    raft = Raft(Config(id=1, voters=(1,), pre_vote=False), Random(1))
    raft.campaign()
    while raft.has_ready():
        raft.advance(raft.ready())
    for number in range(entries):
        raft.propose(b"%d" % number)
    raft.advance(raft.ready())
    raft.ready()
    return raft


def test_the_log_is_compacted_at_most_to_the_applied_index_of_raft() -> None:
    raft = leader_with(entries=10)
    applied_before, committed = raft.log.applied, raft.log.committed
    assert applied_before < committed - 5
    storage: Any = Storage()
    world: Any = SimpleNamespace(log=lambda *_, **__: None)
    path = WritePath(world, "n1", Failpoints(world), tracing=False)
    config: Any = SimpleNamespace(catch_up_entries=1)
    unused: Any = None
    flusher: Any = BackendFlusher(
        world=world,
        config=config,
        path=path,
        storage=storage,
        store=unused,
        raft=raft,
        metrics=unused,
        flushed=unused,
    )
    flusher._flushed = Traced(index=committed, term=raft.term)
    asyncio.run(flusher._take_snapshot())
    assert [one.index for one in storage.saved] == [committed]
    assert raft.log.compacted_index == applied_before
