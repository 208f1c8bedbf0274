"""Bug: a learner is promoted before it has the leader's log."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.cluster_service import ClusterService
from splitbrain.node.raft.message import MemberId

MUTANT = Mutant(
    what="the leader does not check how much of its log a learner has",
    source="Raft thesis, 4.2.1; etcd's IsReadyToPromoteMember and isLearnerReady",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    def is_in_sync(self: ClusterService, learner: MemberId) -> bool:
        return True

    ClusterService._is_in_sync = is_in_sync  # type: ignore[method-assign]
