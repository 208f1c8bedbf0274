"""Bug: the promotion of a learner does not reach the stored configuration."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node import membership
from splitbrain.node.messages.member_change import (
    ChangeKind,
    ClusterRecord,
    changed,
    member_change_of,
)
from splitbrain.node.raft.confchange import ConfChange

MUTANT = Mutant(
    what="a promoted member is listed as a learner, and is one again after a restart",
    source="etcd's RaftCluster.PromoteMember: the promotion is stored in the backend",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    def without_promotion(record: ClusterRecord, change: ConfChange) -> ClusterRecord:
        one = member_change_of(change)
        if one is not None and one.kind is ChangeKind.PROMOTE:
            return record
        return changed(record, change)

    membership.changed = without_promotion  # type: ignore[attr-defined]
