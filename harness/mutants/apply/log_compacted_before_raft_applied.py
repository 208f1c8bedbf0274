"""Bug: the log is compacted up to the backend's index, also beyond Raft's applied index."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply.flush_and_snapshot import BackendFlusher
from splitbrain.node.raft.message import Index, SnapshotMetadata

MUTANT = Mutant(
    what="a member whose log is slower than its store compacts entries that Raft has not applied"
    " yet",
    source="etcd-io/raft, Storage.Compact: the index must not be greater than applied; a bug of"
    " this project's member (histories/corpus/compacted-beyond-applied)",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    def _compactable_index(self: BackendFlusher, snapshot: SnapshotMetadata) -> Index:
        return snapshot.index - self._config.catch_up_entries

    BackendFlusher._compactable_index = _compactable_index  # type: ignore[method-assign]
