"""Bug: the backend commits the consistent index one commit before the writes that it covers."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.write_buffer import WriteBuffer, Writes

DATA = b"key"
INDEX = b"meta"

MUTANT = Mutant(
    what="after a crash the consistent index is ahead of the data, and entries are skipped",
    source="etcd-io/etcd issues 13766 and 13514, and the postmortem of 3.5.0 to 3.5.2",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    original = WriteBuffer.begin_flush

    def begin_flush(self: WriteBuffer) -> dict[bytes, Writes]:
        data = self.pending[DATA]
        if not data or not self.pending[INDEX]:
            return original(self)
        self.pending[DATA] = {}
        batch = original(self)
        self.pending[DATA], self.operations = data, len(data)
        return batch

    WriteBuffer.begin_flush = begin_flush  # type: ignore[method-assign]
