"""Bug: a failed sync is retried, and data that the first sync lost is treated as durable."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage import wal
from splitbrain.node.world import DiskError, File

MUTANT = Mutant(
    what="the log continues after a failed sync",
    source="Rebello et al., \"Can Applications Recover from fsync Failures?\", USENIX ATC 2020;"
    " PostgreSQL's fsync failures of 2018",
    found_by=("write_path", "mvcc"),
)


def plant() -> None:
    async def sync_file(file: File) -> None:
        try:
            await file.sync()
        except DiskError:
            await file.sync()

    wal.sync_file = sync_file
