"""Bug: a snapshot is taken at the applied index, which the backend's file may not contain yet."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply.flush_and_snapshot import BackendFlusher
from splitbrain.node.step_trace import Traced

MUTANT = Mutant(
    what="a snapshot is recorded that the backend's file does not contain",
    source="etcd-io/etcd issue 21636 (\"failed to recover v3 backend from snapshot\"); issue 20426",
    found_by=("invariants",),
)


def plant() -> None:
    original = BackendFlusher._take_snapshot

    async def _take_snapshot(self: BackendFlusher) -> None:
        store = self._store
        self._flushed = Traced(index=store.consistent_index, term=store.consistent_term)
        await original(self)

    BackendFlusher._take_snapshot = _take_snapshot  # type: ignore[method-assign]
