"""Bug: a new log segment starts without the term and vote of the previous segment."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import HardState
from splitbrain.node.storage.wal import Wal
from splitbrain.node.storage.wal_segment_reader import SegmentName

MUTANT = Mutant(
    what="term and vote are lost when the log continues in a new segment",
    source="etcd's server/storage/wal, cut: each segment begins with metadata and hard state,"
    " because the earlier segments may be purged",
    found_by=("raft_safety", "invariants"),
)


def plant() -> None:
    original = Wal._head_records

    def _head_records(self: Wal, name: SegmentName) -> list[bytes]:
        hard_state, self._hard_state = self._hard_state, HardState()
        records = original(self, name)
        self._hard_state = hard_state
        return records

    Wal._head_records = _head_records  # type: ignore[method-assign]
