"""Connects the metrics of a member to the values that they show.

Values that are part of the member's status are read only when /metrics is requested, so they do not
slow down the write path.
"""

from __future__ import annotations

from collections.abc import Callable

from splitbrain.node.messages.rpc import StatusResponse
from splitbrain.node.metrics import Metrics
from splitbrain.node.mvcc.store import Store


class MemberMetrics(Metrics):
    """The metrics of a running member. `member_id` and `version` become constant labels."""

    def __init__(self, member_id: int, version: str) -> None:
        super().__init__(server_id=f"{member_id:x}", version=version)
        self._known = False

    def leader_seen(self, known: bool, *, leading: bool) -> None:
        """Record whether this member knows a leader (`known`) and is the leader itself (`leading`).

        As in etcd, the counter of leader changes increases each time that a new leader is found.
        """
        if known and not self._known:
            self.leader_changes.inc()
        self._known = known
        self.has_leader.set(known)
        self.is_leader.set(leading)

    def proposal_failed(self) -> None:
        self.proposals_failed.inc()

    def read_index_failed(self) -> None:
        self.read_indexes_failed.inc()

    def wal_synced(self, duration_ns: int) -> None:
        self.wal_fsync.observe(duration_ns / 1e9)

    def backend_committed(self, duration_ns: int) -> None:
        self.backend_commit.observe(duration_ns / 1e9)


def export(
    metrics: MemberMetrics,
    status: Callable[[], StatusResponse],
    pending: Callable[[], int],
    store: Store,
) -> None:
    """Let the gauges read the member's status and store whenever /metrics is requested."""
    for gauge, read in (
        (metrics.proposals_committed, lambda: status().raft_index),
        (metrics.proposals_applied, lambda: status().raft_applied_index),
        (metrics.proposals_pending, pending),
        (metrics.database_size, lambda: status().db_size),
        (metrics.database_size_in_use, lambda: status().db_size_in_use),
        (metrics.is_learner, lambda: status().is_learner),
        (metrics.keys, lambda: store.keys_count),
        (metrics.current_revision, lambda: store.revision),
        (metrics.compact_revision, lambda: store.compacted_revision),
        (metrics.watchers, lambda: len(store.watches)),
        (metrics.slow_watchers, lambda: store.watches.slow),
    ):
        metrics.read_when_asked(gauge, read)
    metrics.export_operations(store.counts)
