"""Bug: a member that starts does not write the tail of its log again.

It can read the tail, but perhaps only the page cache contains it.
"""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.wal import Wal
from splitbrain.node.storage.wal_segment_reader import Tail

MUTANT = Mutant(
    what="after a failed sync and a restart the page cache is treated as durable",
    source="Rebello et al., USENIX ATC 2020: pages are clean after a failed fsync; PostgreSQL's"
    " fsync failures of 2018",
    found_by=("write_path", "invariants"),
)


def plant() -> None:
    def _write_again(self: Wal, tail: Tail) -> None:
        """Do nothing. The correct method writes the tail of the log again."""

    Wal._write_again = _write_again  # type: ignore[method-assign]
