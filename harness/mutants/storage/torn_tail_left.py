"""Bug: a torn record at the end of the log is not cut off before new records are written."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.wal import Wal
from splitbrain.node.storage.wal_segment_reader import Tail

MUTANT = Mutant(
    what="the rest of a torn record remains behind the records written after it",
    source="etcd's WAL.ReadAll: the file is zeroed behind the last whole record (ZeroToEnd)",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    def _cut_off_torn(self: Wal, tail: Tail) -> None:
        """Do nothing. The correct method cuts a torn record off."""

    Wal._cut_off_torn = _cut_off_torn  # type: ignore[method-assign]
