"""Bug: automatic compaction by age compacts to the newest revision."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.maintenance.auto_compaction import ByAge

MUTANT = Mutant(
    what="automatic compaction by age compacts to the newest revision",
    source="etcd's api/v3compactor/periodic.go",
    found_by=("limits",),
    hunt={
        "workload": "limits",
        "workload_options": {"keep_ms": 3000, "quota_kib": 4096},
    },
)


def plant() -> None:
    def target(self: ByAge, revision: int) -> int:
        return revision

    ByAge.target = target  # type: ignore[method-assign]
