"""Bug: the backend commits the writes of an entry one batch before their consistent index."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.write_buffer import WriteBuffer, Writes

META, INDEX = b"meta", b"consistent_index"

MUTANT = Mutant(
    what="after a crash the data is ahead of the consistent index, and entries are applied twice",
    source="etcd-io/etcd issue 13766 and similar issues: data and consistent index in separate"
    " transactions",
    found_by=("mvcc", "write_path", "invariants"),
)


def plant() -> None:
    original = WriteBuffer.begin_flush

    def begin_flush(self: WriteBuffer) -> dict[bytes, Writes]:
        index = self.pending[META].pop(INDEX, None)
        batch = original(self)
        if index is not None and any(batch.values()):
            self.pending[META][INDEX] = index
            self.operations += 1
        elif index is not None:
            batch[META][INDEX] = index
        return batch

    WriteBuffer.begin_flush = begin_flush  # type: ignore[method-assign]
