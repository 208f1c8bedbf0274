"""The tokens of a user stay valid when the user is deleted."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth.apply import AuthApplier

MUTANT = Mutant(
    what="a token of a deleted user is accepted again if a user of this name is added",
    source="etcd's authStore.UserDelete, which invalidates cached tokens of the user",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    original = AuthApplier._user_changed

    def _user_changed(self: AuthApplier, name: str) -> None:
        if name in self._store.users:
            original(self, name)
        else:
            self._store.changed()

    AuthApplier._user_changed = _user_changed  # type: ignore[method-assign]
