"""Bug: a member that restores a snapshot does not connect to the members in it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.apply.applier import Applier
from splitbrain.node.raft.message import Snapshot

MUTANT = Mutant(
    what="a member has no links to members that were added before the snapshot that it restores",
    source="etcd's applySnapshot, which removes all peers from the transport, and adds those of the"
    " snapshot",
    found_by=("invariants", "availability"),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = Applier._restore

    async def restore(self: Applier, snapshot: Snapshot) -> None:
        connect = self._members_changed
        self._members_changed = lambda: None
        try:
            await original(self, snapshot)
        finally:
            self._members_changed = connect

    Applier._restore = restore  # type: ignore[method-assign]
