"""Bug: a member that restores a snapshot keeps tokens that a skipped entry has ended."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply.applier import Applier

MUTANT = Mutant(
    what="a member that restores a snapshot keeps the tokens that a skipped entry has ended",
    source="a bug of this project's member: the token of a former password remained valid",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    def restore_auth(self: Applier) -> None:
        self._auth.restore()

    Applier._restore_auth = restore_auth  # type: ignore[method-assign]
