"""Bug: a lessor that is primary for the second time starts no timer."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.lessor import Lessor

MUTANT = Mutant(
    what="a leader that was deposed and leads again ends no lease",
    source="etcd's lessor: the loop revokeExpiredLeases runs in each term in which it is primary",
    found_by=("invariants", "lease"),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = Lessor._tick

    def tick(self: Lessor) -> None:
        timer = self._timer
        original(self)
        if not self.primary_term:
            self._timer = timer

    Lessor._tick = tick  # type: ignore[method-assign]
