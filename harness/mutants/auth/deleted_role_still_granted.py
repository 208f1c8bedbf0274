"""Bug: a deleted role is not taken from its users.

These users have the role again when a role of this name is added.
"""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_requests import AuthApplier
from splitbrain.node.messages import auth

MUTANT = Mutant(
    what="users keep a deleted role, and have it again when a role of this name is added",
    source="etcd's auth/store.go, RoleDelete, which takes the role from all users",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    def delete_role(
        self: AuthApplier, request: auth.AuthRoleDeleteRequest
    ) -> auth.AuthRoleDeleteResponse:
        self._store.role(request.role)
        self._store.remove_role(request.role)
        self._store.changed()
        return auth.AuthRoleDeleteResponse()

    AuthApplier._delete_role = delete_role  # type: ignore[method-assign]
