"""Bug: a copy of the backend contains an old value of a key that two uncommitted batches write."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.write_buffer import WriteBuffer, Writes

MUTANT = Mutant(
    what="the consistent index in a snapshot is older than its data",
    source="etcd-io/etcd issue 13766: the consistent index does not match the data",
    found_by=("mvcc", "write_path", "invariants"),
)


def plant() -> None:
    def capture(
        self: WriteBuffer, bucket: bytes, start: bytes = b"", end: bytes | None = None
    ) -> Writes:
        both = {**self.pending[bucket], **self.in_flight[bucket]}
        return {
            key: both[key] for key in sorted(both) if key >= start and (end is None or key < end)
        }

    WriteBuffer.capture = capture  # type: ignore[method-assign]
