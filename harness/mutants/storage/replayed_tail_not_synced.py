"""Bug: a member that starts treats entries of its log that were never synced as durable."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.wal import Wal

MUTANT = Mutant(
    what="entries that exist only in the page cache are acknowledged after a restart",
    source="Pillai et al., OSDI 2014: what a process reads after a crash need not be durable;"
    " Alagappan et al., FAST 2018",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    async def _make_durable(self: Wal) -> None:
        """Do nothing. The correct method syncs the log that was read."""

    Wal._make_durable = _make_durable  # type: ignore[method-assign]
