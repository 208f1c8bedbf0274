"""Bug: automatic compaction keeps one revision less than it should."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.maintenance.auto_compaction import ByRevision

MUTANT = Mutant(
    what="automatic compaction keeps one revision less than it should",
    source="etcd's api/v3compactor/revision.go",
    found_by=("limits",),
    hunt={
        "workload": "limits",
        "nemesis": (),
        "workload_options": {"keep_revisions": 20, "quota_kib": 4096},
        "rate": 20.0,
        "time_limit_s": 12.0,
    },
)


def plant() -> None:
    def target(self: ByRevision, revision: int) -> int:
        self._target = revision - self._retention + 1
        return self._target if self._target > self._last else 0

    ByRevision.target = target  # type: ignore[method-assign]
