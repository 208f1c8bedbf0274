"""What a start reads from the log is not written again, for it reads well."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.wal import Wal
from splitbrain.node.storage.wal_segment import Tail

MUTANT = Mutant(
    what="after a failed sync and a restart the page cache is taken for the disk",
    source="Rebello et al., USENIX ATC 2020: pages are clean after a failed fsync; PostgreSQL's"
    " fsyncgate",
    found_by=("write_path", "invariants"),
)


def plant() -> None:
    def _write_again(self: Wal, tail: Tail) -> None:
        """Nothing is written."""

    Wal._write_again = _write_again  # type: ignore[method-assign]
