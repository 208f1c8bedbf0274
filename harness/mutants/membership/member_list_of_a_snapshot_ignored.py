"""Bug: a member that restores a snapshot keeps its own member list."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.backend import Backend
from splitbrain.node.config import Config
from splitbrain.node.membership import Membership

MUTANT = Mutant(
    what="the member list is not loaded from a snapshot",
    source="etcd's RaftCluster.Recover after applySnapshot",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = Membership.__init__
    load = Membership.restore

    def once(self: Membership, backend: Backend, config: Config) -> None:
        Membership.restore = load  # type: ignore[method-assign]
        original(self, backend, config)
        Membership.restore = lambda self: None  # type: ignore[method-assign]

    Membership.__init__ = once  # type: ignore[method-assign]
