"""Bug: a member that restarts knows no users, and considers authentication disabled."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_store import AuthStore

MUTANT = Mutant(
    what="a member that restarts knows no users, and considers authentication disabled",
    source="etcd's auth/store.go, NewAuthStore, which reads users and roles from the backend",
    found_by=("auth", "mvcc", "availability"),
    hunt={"workload": "auth", "nemesis": ("kill", "power")},
)


def plant() -> None:
    def restore(self: AuthStore) -> None:
        pass

    AuthStore.restore = restore  # type: ignore[method-assign]
