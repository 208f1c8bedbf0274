"""Bug: each batch of the backend takes a part of the space quota, and never returns it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.apply.flush_and_snapshot import BackendFlusher

LEAKED_BYTES = 64 * 1024**2
"""The number of bytes that each batch with changes takes from the quota. With it, the quota lasts
for a few seconds of writes."""

MUTANT = Mutant(
    what="the space quota is used up by data that the backend does not contain",
    source="Gunawi et al., What Bugs Live in the Cloud? (SoCC 2014): space leaks; etcd's"
    " maintenance guide, Space quota: above the quota all writes are refused",
    found_by=("availability",),
    run={**SHORT_RUN, "workload": "kv", "nemesis": (), "availability_bound_ms": 3_000},
)


def plant() -> None:
    original = BackendFlusher.flush

    async def flush(self: BackendFlusher) -> None:
        await original(self)
        leaked = getattr(self, "leaked_bytes", 0) + LEAKED_BYTES
        self.leaked_bytes = leaked  # type: ignore[attr-defined]

    def size_bytes(self: BackendFlusher) -> int:
        leaked: int = getattr(self, "leaked_bytes", 0)
        return self._backend.size_bytes + leaked

    BackendFlusher.flush = flush  # type: ignore[method-assign]
    BackendFlusher.size_bytes = property(size_bytes)  # type: ignore[assignment,method-assign]
