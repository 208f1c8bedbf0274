"""Bug: a removed member stays in the member list."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node import membership
from splitbrain.node.messages.member_change import ClusterRecord, changed
from splitbrain.node.raft.confchange import ConfChange

MUTANT = Mutant(
    what="the member list still contains a member after its removal",
    source="etcd's RaftCluster.RemoveMember: a removed id is listed no more",
    found_by=("invariants", "members"),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    def keeping(record: ClusterRecord, change: ConfChange) -> ClusterRecord:
        after = changed(record, change)
        if len(after.members) >= len(record.members):
            return after
        return msgspec.structs.replace(after, members=record.members)

    membership.changed = keeping  # type: ignore[attr-defined]
