"""Bug: tokens stay valid while authentication is disabled and enabled again."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.tokens import SimpleTokens

MUTANT = Mutant(
    what="tokens from before authentication was disabled are valid when it is enabled again",
    source="etcd's auth/simple_token.go, disable, which forgets all tokens",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    def end_all(self: SimpleTokens) -> None:
        pass

    SimpleTokens.end_all = end_all  # type: ignore[method-assign]
