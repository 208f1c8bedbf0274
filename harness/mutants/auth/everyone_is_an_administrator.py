"""Bug: every user may change users and roles."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_store import AuthStore, Identity

MUTANT = Mutant(
    what="every user may change users and roles",
    source="etcd's auth/store.go, IsAdminPermitted",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    def check_admin(self: AuthStore, caller: Identity) -> None:
        pass

    AuthStore.check_admin = check_admin  # type: ignore[method-assign]
