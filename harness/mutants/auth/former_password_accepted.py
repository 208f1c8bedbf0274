"""Bug: a login with the user's previous password succeeds."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.auth_store import AuthStore, User
from splitbrain.node.auth.authenticator import Authenticator
from splitbrain.node.auth.password import matches
from splitbrain.node.auth.tokens import new_prefix
from splitbrain.node.messages.auth import AuthenticateRequest, TokenAssignRequest

MUTANT = Mutant(
    what="a login with the password before the last one succeeds",
    source="etcd's auth/store.go, CheckPassword, which compares with the present hash only",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    original = AuthStore.put_user
    former: dict[str, set[str]] = {}

    def put_user(self: AuthStore, user: User) -> None:
        former.setdefault(user.name, set()).add(user.hashed_password)
        original(self, user)

    def checked_login(self: Authenticator, request: AuthenticateRequest) -> TokenAssignRequest:
        user = self._auth.users.get(request.name)
        if user is not None and any(
            matches(request.password, one) for one in former.get(request.name, ())
        ):
            return TokenAssignRequest(
                request.name, new_prefix(self._random), self._auth.revision
            )
        return login(self, request)

    login = Authenticator.checked_login
    AuthStore.put_user = put_user  # type: ignore[method-assign]
    Authenticator.checked_login = checked_login  # type: ignore[method-assign]
