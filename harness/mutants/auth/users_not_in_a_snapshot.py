"""Bug: a member that gets a snapshot of the leader keeps its former users and roles."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply.applier import Applier
from splitbrain.node.raft.message import Snapshot

MUTANT = Mutant(
    what="a member that gets a snapshot of the leader keeps its former users and roles",
    source="etcd's issue #14571: a member keeps its former permissions after it got a snapshot",
    found_by=("auth", "mvcc", "availability"),
    hunt={"workload": "auth"},
)


def plant() -> None:
    original = Applier._restore

    async def restore(self: Applier, snapshot: Snapshot) -> None:
        auth = self._auth
        users, roles = auth.users, auth.roles
        await original(self, snapshot)
        auth.users, auth.roles = users, roles

    Applier._restore = restore  # type: ignore[method-assign]
