"""A new segment begins without the term and vote of the one before it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import HardState
from splitbrain.node.storage.wal import Wal
from splitbrain.node.storage.wal_segment import SegmentName

MUTANT = Mutant(
    what="term and vote are lost when the log goes on in another segment",
    source="etcd's server/storage/wal, cut: each segment begins with metadata and hard state,"
    " for the ones before it may be purged",
    found_by=("raft_safety", "invariants"),
)


def plant() -> None:
    honest = Wal._head_records

    def _head_records(self: Wal, name: SegmentName) -> list[bytes]:
        kept, self._hard_state = self._hard_state, HardState()
        records = honest(self, name)
        self._hard_state = kept
        return records

    Wal._head_records = _head_records  # type: ignore[method-assign]
