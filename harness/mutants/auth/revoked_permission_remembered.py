"""Bug: after a permission was revoked, a member still permits what it permitted before."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_store import AuthStore, Identity
from splitbrain.node.messages.auth import PermissionType

MUTANT = Mutant(
    what="a permission that was checked once remains after its revocation",
    source="etcd's issue #14571: the cache of permissions is not invalidated",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    original = AuthStore._check
    allowed: dict[tuple[str, bytes, bytes, tuple[PermissionType, ...]], None] = {}

    def check(
        self: AuthStore, caller: Identity, key: bytes, range_end: bytes,
        kinds: tuple[PermissionType, ...],
    ) -> None:
        question = (caller.name, key, range_end, kinds)
        if caller.name and question in allowed:
            return
        original(self, caller, key, range_end, kinds)
        allowed[question] = None

    AuthStore._check = check  # type: ignore[method-assign]
