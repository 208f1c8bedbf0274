"""Bug: a client without a token may do everything."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_store import ANONYMOUS, AuthStore, Identity
from splitbrain.node.messages.auth import PermissionType

MUTANT = Mutant(
    what="a client without a token may do everything",
    source="etcd's CVE-2021-28235 and store.go, which refuse an empty user",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    original = AuthStore._check

    def check(
        self: AuthStore, caller: Identity, key: bytes, range_end: bytes,
        kinds: tuple[PermissionType, ...],
    ) -> None:
        if caller != ANONYMOUS:
            original(self, caller, key, range_end, kinds)

    AuthStore._check = check  # type: ignore[method-assign]
