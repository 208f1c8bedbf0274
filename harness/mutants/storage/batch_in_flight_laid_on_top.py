"""A copy of the backend has the older of two writes that are not committed yet."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.write_buffer import WriteBuffer, Writes

MUTANT = Mutant(
    what="a snapshot's consistent index is older than its data",
    source="etcd #13766: a consistent index that does not belong to the data beside it",
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
