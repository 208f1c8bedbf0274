"""Bug: a token remains valid after its user has been deleted."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_requests import AuthApplier
from splitbrain.node.auth.auth_store import ROOT
from splitbrain.node.messages import auth

MUTANT = Mutant(
    what="a token remains valid after its user has been deleted",
    source="etcd's auth/store.go, UserDelete, which invalidates the user's tokens",
    found_by=("auth",),
    hunt={"workload": "auth", "workload_options": {"jwt": 0}},
)


def plant() -> None:
    original = AuthApplier._apply_to_users

    def _apply_to_users(self: AuthApplier, request: object) -> auth.AuthWriteResponse:
        store = self._store
        if not isinstance(request, auth.AuthUserDeleteRequest) or request.name == ROOT:
            return original(self, request)  # type: ignore[arg-type]
        store.user(request.name)
        store.remove_user(request.name)
        store.changed()
        return auth.AuthUserDeleteResponse()

    AuthApplier._apply_to_users = _apply_to_users  # type: ignore[method-assign]
