"""Bug: an applied entry wakes only the oldest of the read-index rounds that wait for it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import Index
from splitbrain.node.read_barrier import ReadBarrier

MUTANT = Mutant(
    what="a member that lags wakes only some of the reads that wait for the same entry",
    source="Lu et al., Learning from Mistakes (ASPLOS 2008): signal instead of broadcast",
    found_by=("invariants",),
)


def plant() -> None:
    original = ReadBarrier.advanced

    def advanced(self: ReadBarrier, applied: Index) -> None:
        others = self._behind[1:]
        self._behind = self._behind[:1]
        original(self, applied)
        self._behind += others

    ReadBarrier.advanced = advanced  # type: ignore[method-assign]
