"""Bug: a member that restarts begins with the configuration of the cluster's first start."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.membership import Membership

MUTANT = Mutant(
    what="a member forgets all changes of the configuration when it restarts",
    source="Raft paper, 6; Raft thesis, 4: the configuration is part of the durable log",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    Membership.is_changed = property(lambda self: False)  # type: ignore[assignment]
