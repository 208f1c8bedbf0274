"""Bug: the corruption check compares members that have compacted to different revisions."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.maintenance import corruption_check

MUTANT = Mutant(
    what="the corruption check compares members that have compacted to different revisions",
    source="etcd's server/etcdserver/corrupt.go",
    found_by=("limits",),
    hunt={
        "workload": "limits",
        "nemesis": ("kill", "latency"),
        "workload_options": {"keep_revisions": 20, "quota_kib": 4096, "check_ms": 200},
        "time_limit_s": 12.0,
        "rate": 200.0,
    },
)


def plant() -> None:
    corruption_check.differs = lambda own, other: own.hash != other.hash
