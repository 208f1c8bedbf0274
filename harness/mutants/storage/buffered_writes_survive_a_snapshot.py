"""What waited for the backend when a snapshot replaced it is written over the snapshot."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.write_buffer import WriteBuffer

MUTANT = Mutant(
    what="the batch of the old backend is committed to the new one",
    source="etcd, applySnapshot: the old backend is closed, and its batch with it",
    found_by=("mvcc", "write_path", "invariants"),
)


def plant() -> None:
    WriteBuffer.discard = lambda self: None  # type: ignore[method-assign]
