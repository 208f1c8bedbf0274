"""Bug: a new member asks which id it has, and accepts the first answer.

This answer may come from a member that lags.
"""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node import join_cluster
from splitbrain.node.config import Joined
from splitbrain.node.membership import Membership
from splitbrain.node.raft.message import MemberId

MUTANT = Mutant(
    what="a new member can get the id of a removed member from a member that lags behind",
    source="a drawn schedule of changes and partitions found it in this member",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    def is_confirmed(joined: Joined, answers: Mapping[MemberId, Joined]) -> bool:
        return True

    def has_started(self: Membership, member: MemberId) -> bool:
        return False

    join_cluster.is_confirmed = is_confirmed
    Membership.has_started = has_started  # type: ignore[method-assign]
