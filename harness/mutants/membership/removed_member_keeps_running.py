"""Bug: a removed member does not stop."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.server import Server

MUTANT = Mutant(
    what="a removed member keeps running and disturbs the others with elections",
    source="Raft thesis, 4.2.3: disruptive servers; etcd stops a removed member",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    def stop_removed(self: Server) -> None:
        return

    Server.removed = stop_removed  # type: ignore[method-assign]
