"""Bug: reads are answered without a check of the permission."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_store import Identity
from splitbrain.node.auth.authenticator import Authenticator

MUTANT = Mutant(
    what="reads are answered without a check of the permission",
    source="etcd's v3_server.go, where doSerialize checks a range",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    def check(self: Authenticator, identity: Identity, request: object) -> None:
        pass

    Authenticator.check = check  # type: ignore[method-assign]
