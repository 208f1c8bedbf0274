"""Bug: a token of a user remains valid after the password has changed."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.tokens import SimpleTokens

MUTANT = Mutant(
    what="a token of a user remains valid after the password has changed",
    source="etcd's auth/store.go, UserChangePassword, which invalidates the user's tokens",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    def end_of_user(self: SimpleTokens, user: str) -> None:
        pass

    SimpleTokens.end_of_user = end_of_user  # type: ignore[method-assign]
