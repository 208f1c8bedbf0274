"""What is torn at the end of the log is not cut off: the next records are written over it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.wal import Wal
from splitbrain.node.storage.wal_segment import Tail

MUTANT = Mutant(
    what="remains of a torn record stand behind what is written after it",
    source="etcd, WAL.ReadAll: behind the last whole record the file is zeroed (ZeroToEnd)",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    def _cut_off_torn(self: Wal, tail: Tail) -> None:
        """It stays."""

    Wal._cut_off_torn = _cut_off_torn  # type: ignore[method-assign]
