"""Bug: the seal names the end of the log before the log is synced up to there."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.wal import Wal, sync_file
from splitbrain.node.world import DiskError

MUTANT = Mutant(
    what="a power loss between seal and log makes the start take a whole log for a damaged one",
    source="Mohan et al., ARIES, TODS 1992: a record of the durable end must not precede the log",
    found_by=("invariants",),
)


def plant() -> None:
    async def sync(self: Wal) -> None:
        file, appended = self._open_file(), self._appended()
        try:
            await self._write_seal(appended)
            await sync_file(file)
            self._durable, self._durable_commit = appended.end, appended.hard_state.commit
            if self._is_full():
                await self._cut()
                await self._write_seal(self._appended())
        except DiskError as problem:
            self._fail(problem)
            raise

    Wal.sync = sync  # type: ignore[method-assign]
