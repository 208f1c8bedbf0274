"""Bug: a write is checked only when a member receives it.

It is applied although the permissions have changed in the meantime.
"""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_store import AuthStore, Identity
from splitbrain.node.messages.auth import PermissionType

MUTANT = Mutant(
    what="a write is applied although its permission was revoked after a member had received it",
    source="etcd's auth/store.go, isOpPermitted, which refuses an old auth revision",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    original = AuthStore._check

    def check(
        self: AuthStore, caller: Identity, key: bytes, range_end: bytes,
        kinds: tuple[PermissionType, ...],
    ) -> None:
        if 0 < caller.revision < self.revision:
            return
        original(self, caller, key, range_end, kinds)

    AuthStore._check = check  # type: ignore[method-assign]
