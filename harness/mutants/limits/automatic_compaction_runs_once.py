"""Bug: automatic compaction runs only once."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.maintenance.auto_compaction import ByRevision

MUTANT = Mutant(
    what="automatic compaction runs only once",
    source="etcd's api/v3compactor/revision.go, Run",
    found_by=("limits",),
    hunt={
        "workload": "limits",
        "nemesis": (),
        "workload_options": {"keep_revisions": 20, "quota_kib": 4096},
        "time_limit_s": 12.0,
        "rate": 200.0,
    },
)


def plant() -> None:
    original = ByRevision.target

    def target(self: ByRevision, revision: int) -> int:
        return 0 if self._last else original(self, revision)

    ByRevision.target = target  # type: ignore[method-assign]
