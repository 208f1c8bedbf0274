"""Bug: buffered writes of the old backend are written over the snapshot that replaced it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.write_buffer import WriteBuffer

MUTANT = Mutant(
    what="a batch of the old backend is committed to the new one",
    source="etcd's applySnapshot: the old backend is closed together with its batch",
    found_by=("mvcc", "write_path", "invariants"),
)


def plant() -> None:
    WriteBuffer.discard = lambda self: None  # type: ignore[method-assign]
