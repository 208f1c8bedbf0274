"""Compacts the store without a client's request, by age or by number of revisions.

The leader proposes the compactions. As in etcd, the flag `--auto-compaction-mode` selects one of
two modes, and the flag `--auto-compaction-retention` sets the retention.

- `revision`: the retention is a number of revisions. Once every five minutes, the store is
  compacted so that this number of revisions remains.
- `periodic`: the retention is a time. The store is compacted to the revision that it had one
  retention ago. The interval between two compactions is the retention, but at most one hour. To
  know the old revision, each member samples the revision ten times per interval, also if it is not
  the leader.

Source: etcd's `server/etcdserver/api/v3compactor`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from splitbrain.node.config import Config
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import CompactionRequest
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.world import World

PERIODIC_INTERVAL_MAX_S = 3600.0
SAMPLES_PER_INTERVAL = 10


class Policy(Protocol):
    """Decides to which revision the store is compacted: `ByRevision` or `ByAge`."""

    @property
    def interval_s(self) -> float:
        """The time between two calls of `target`, in seconds."""
        ...

    def target(self, revision: int) -> int:
        """Return the revision to compact to, or 0 to compact nothing now.

        `revision` is the present revision of the store.
        """
        ...

    def compacted(self) -> None:
        """Record that the store was compacted to the revision that `target` returned last."""
        ...


class ByRevision:
    """Keeps the last `retention` revisions."""

    def __init__(self, retention: int, interval_s: float) -> None:
        self._retention = retention
        self.interval_s = interval_s
        self._last = self._target = 0

    def target(self, revision: int) -> int:
        self._target = revision - self._retention
        return self._target if self._target > self._last else 0

    def compacted(self) -> None:
        self._last = self._target


class ByAge:
    """Keeps the revisions of the last `retention_s` seconds."""

    def __init__(self, retention_s: float) -> None:
        interval_s = min(retention_s, PERIODIC_INTERVAL_MAX_S)
        self.interval_s = interval_s / SAMPLES_PER_INTERVAL
        samples = round(retention_s / self.interval_s)
        self._samples: deque[int] = deque(maxlen=samples + 1)
        """Samples of the store's revision from the last `retention_s` seconds, the oldest first."""
        self._until_due = 0

    def target(self, revision: int) -> int:
        self._samples.append(revision)
        self._until_due -= 1
        if len(self._samples) < (self._samples.maxlen or 0) or self._until_due > 0:
            return 0
        return self._samples[0]

    def compacted(self) -> None:
        self._until_due = SAMPLES_PER_INTERVAL


class AutoCompaction:
    """Compacts the store as `policy` decides, while this member is leader. `run` is the task."""

    def __init__(
        self,
        *,
        world: World,
        policy: Policy,
        revision: Callable[[], int],
        leads: Callable[[], bool],
        compact: Callable[[CompactionRequest], Awaitable[object]],
    ) -> None:
        self._world = world
        self._policy = policy
        self._revision = revision
        self._leads = leads
        self._compact = compact

    async def run(self) -> None:
        while True:
            await self._world.clock.sleep(self._policy.interval_s)
            target = self._policy.target(self._revision())
            if target > 0 and self._leads():
                await self._compact_to(target)

    async def _compact_to(self, revision: int) -> None:
        try:
            await self._compact(CompactionRequest(revision))
        except (RpcError, ProposalDropped) as problem:
            # A client may have compacted the store to this revision already.
            if problem != errors.compacted():
                why = str(problem)
                self._world.log("warn", "automatic compaction failed", revision=revision, why=why)
                return
        else:
            self._world.log("info", "compacted automatically", revision=revision)
        self._policy.compacted()


def policy_of(config: Config) -> Policy | None:
    """Return the policy that the member's flags choose, or None for no automatic compaction."""
    if config.compaction_period_ms:
        return ByAge(config.compaction_period_ms / 1000)
    if config.compaction_revisions:
        return ByRevision(config.compaction_revisions, config.compaction_interval_ms / 1000)
    return None
