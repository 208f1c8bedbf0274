"""Bug: log segments have decimal names without leading zeros, and are read in text order."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage import wal, wal_segment_reader
from splitbrain.node.storage.wal_segment_reader import SegmentName
from splitbrain.node.world import Disk

MUTANT = Mutant(
    what="the segments of the log are replayed in the wrong order",
    source="influxdata/influxdb_iox issue 6227; weaviate/weaviate pull request 12138",
    found_by=("invariants",),
)


def plant() -> None:
    def __str__(self: SegmentName) -> str:
        return f"{self.sequence}-{self.index}.wal"

    def parse_segment_name(name: str) -> SegmentName | None:
        stem, dot, suffix = name.partition(".")
        sequence, _, index = stem.partition("-")
        if dot + suffix != wal_segment_reader.SUFFIX:
            return None
        return SegmentName(int(sequence), int(index))

    def list_segments(disk: Disk, directory: str) -> list[SegmentName]:
        found = [name for name in disk.list(directory) if name.endswith(wal_segment_reader.SUFFIX)]
        parsed = [parse_segment_name(name) for name in sorted(found)]
        return [name for name in parsed if name is not None]

    SegmentName.__str__ = __str__  # type: ignore[method-assign]
    wal_segment_reader.parse_segment_name = parse_segment_name
    wal_segment_reader.list_segments = list_segments
    wal.list_segments = list_segments  # type: ignore[attr-defined]
