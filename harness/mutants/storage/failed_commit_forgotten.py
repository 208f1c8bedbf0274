"""Bug: the member treats a failed commit of the backend as successful."""

from __future__ import annotations

import contextlib

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.memory_backend import MemoryBackend
from splitbrain.node.world import DiskError

MUTANT = Mutant(
    what="the backend lacks a batch, and after a restart the store lacks its changes",
    source="Rebello et al., USENIX ATC 2020: a failed sync is not retried; etcd-io/bbolt"
    " issue 562",
    found_by=("mvcc", "invariants", "watch"),
    hunt={"nemesis": ("disk", "kill")},
)


def plant() -> None:
    original = MemoryBackend.flush

    async def flush(self: MemoryBackend) -> None:
        with contextlib.suppress(DiskError):
            await original(self)
        self._buffer.end_flush()

    MemoryBackend.flush = flush  # type: ignore[method-assign]
