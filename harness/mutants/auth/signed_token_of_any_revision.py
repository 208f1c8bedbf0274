"""Bug: the auth revision in a JSON Web Token is ignored.

A token therefore remains valid after the user's password has changed.
"""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_store import Identity
from splitbrain.node.auth.jwt_tokens import JwtTokens

MUTANT = Mutant(
    what="the auth revision in a JSON Web Token is ignored, so a token outlives a new password",
    source="etcd's auth/jwt.go, whose tokens contain the revision for this reason",
    found_by=("auth",),
    hunt={"workload": "auth", "workload_options": {"jwt": 1}},
)


def plant() -> None:
    original = JwtTokens.identity_of

    def identity_of(self: JwtTokens, token: str, auth_revision: int) -> Identity | None:
        found = original(self, token, auth_revision)
        return None if found is None else Identity(found.name, auth_revision)

    JwtTokens.identity_of = identity_of  # type: ignore[method-assign]
