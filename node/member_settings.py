"""Derives the settings of a member's parts from its configuration.

In simulation, `world.buggify` makes some of them unusual.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from splitbrain.node.config import Config
from splitbrain.node.mvcc.watch import BUFFER_BYTES_MAX, REVISIONS_AT_ONCE
from splitbrain.node.raft.config import Config as RaftConfig
from splitbrain.node.world import World

FRAGMENT_OVERHEAD_BYTES = 512 * 1024
"""A watch response is split if it is more than this larger than the maximal request.

Source: etcd's grpcOverheadBytes.
"""


def raft_config(config: Config, world: World) -> RaftConfig:
    raft = RaftConfig(
        id=config.member_id,
        voters=tuple(sorted(peer.id for peer in config.peers)),
        election_ticks=config.election_ticks,
        pre_vote=config.pre_vote,
        check_quorum=config.check_quorum,
    )
    if world.buggify("tiny appends"):
        raft = replace(raft, message_bytes_max=64)
    if world.buggify("few appends in flight"):
        raft = replace(raft, inflight_messages_max=2)
    if world.buggify("few committed entries at once"):
        raft = replace(raft, committed_bytes_max=64)
    # A short timeout needs pre-vote. Without it, a member that cannot be elected could campaign
    # before all others each time, so that the others would never campaign.
    if raft.pre_vote and world.buggify("a short election timeout"):
        raft = replace(raft, election_ticks=max(2, raft.election_ticks // 3))
    if world.buggify("snapshots are given up soon"):
        raft = replace(raft, snapshot_ticks_max=3)
    if world.buggify("snapshots go before entries"):
        raft = replace(raft, snapshots_first=True)
    return raft


def watch_buffer_bytes(world: World) -> int:
    """Return the maximal size of a watcher's event buffer, in bytes.

    An empty buffer accepts a batch of any size.
    """
    return 1 if world.buggify("a watcher's buffer is small") else BUFFER_BYTES_MAX


def watcher_pause(world: World) -> Callable[[], Awaitable[None]]:
    """Return a function that a watcher calls before it takes events from its buffer.

    A simulated world can let this function wait (`World.buggify`), so that several batches of
    events are in the buffer at once. In the real world, the function returns at once.
    """

    async def pause() -> None:
        if world.buggify("events wait in a watcher's buffer"):
            await world.clock.sleep(world.random.uniform(0.0, 0.1))

    return pause


def watch_revisions_at_once(world: World) -> int:
    """Return how many revisions a watcher reads before it lets other tasks run."""
    return 1 if world.buggify("a watch catches up in small pieces") else REVISIONS_AT_ONCE


def watch_fragment_bytes(config: Config, world: World) -> int:
    if world.buggify("a watch's answer is cut early"):
        return 1  # one event in each fragment
    return config.request_bytes_max + FRAGMENT_OVERHEAD_BYTES
