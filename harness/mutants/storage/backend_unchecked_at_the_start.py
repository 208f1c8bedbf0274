"""Bug: a member that starts does not compare its backend with the backend's digest."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.memory_backend import MemoryBackend

MUTANT = Mutant(
    what="the store lacks changes that the disk has lost from the backend, and contains"
    " outdated ones",
    source="Ganesan et al., FAST 2017; LMDB has no checksums; TigerBeetle: misdirected and"
    " lost writes",
    found_by=("mvcc", "watch", "invariants"),
    hunt={"nemesis": ("storage",)},
)


def plant() -> None:
    def check(self: MemoryBackend) -> None:
        """Do nothing. The correct method compares the backend with its digest."""

    MemoryBackend.check = check  # type: ignore[method-assign]
