"""Bug: the list of roles lacks roles that have no permissions."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_requests import AuthApplier
from splitbrain.node.messages import auth

MUTANT = Mutant(
    what="the list of roles lacks roles that have no permissions",
    source="etcd, rpc.proto: RoleList returns all roles",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    original = AuthApplier.apply

    def apply(
        self: AuthApplier, request: auth.AuthWriteRequest, caller: object, index: int
    ) -> auth.AuthWriteResponse:
        answer = original(self, request, caller, index)  # type: ignore[arg-type]
        if isinstance(answer, auth.AuthRoleListResponse):
            roles = self._store.roles
            return auth.AuthRoleListResponse(
                roles=tuple(name for name in answer.roles if roles[name].permissions)
            )
        return answer

    AuthApplier.apply = apply  # type: ignore[method-assign]
