"""Bug: a failed write to the log is ignored, and the log continues after it."""

from __future__ import annotations

import contextlib

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.wal import Wal
from splitbrain.node.world import DiskError

MUTANT = Mutant(
    what="the log has a hole where acknowledged entries should be",
    source="Ganesan et al., FAST 2017; Prabhakaran et al., SOSP 2005: write errors are"
    " ignored",
    found_by=("invariants", "raft_safety", "write_path", "mvcc"),
    hunt={"nemesis": ("disk", "kill")},
)


def plant() -> None:
    def _write(self: Wal, records: list[bytes]) -> None:
        data = b"".join(records)
        if data:
            with contextlib.suppress(DiskError):
                self._open_file().write(self._end, data)
            self._end += len(data)

    Wal._write = _write  # type: ignore[method-assign]
