"""Bug: the backend returns each value without a check of its CRC."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage import content_checksums, memory_backend

MUTANT = Mutant(
    what="bit rot of a value in the backend reaches clients and followers",
    source="Bairavasundaram et al., FAST 2008; Ganesan et al., FAST 2017: most stores serve"
    " a corrupted value",
    found_by=("mvcc", "watch", "linearizable", "invariants", "write_path"),
    hunt={"nemesis": ("storage",)},
)


def plant() -> None:
    def value_of(bucket: bytes, key: bytes, stored: bytes) -> bytes:
        return stored[: -content_checksums.CRC_BYTES]

    content_checksums.value_of = value_of
    memory_backend.value_of = value_of  # type: ignore[attr-defined]
