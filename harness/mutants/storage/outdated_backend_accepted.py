"""Bug: a member that starts accepts a backend that is older than its log's oldest entry."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node import member_storage

MUTANT = Mutant(
    what="the store skips the entries between its backend and the log",
    source="etcd-io/etcd issue 13766 (entries are skipped after a crash); lying syncs:"
    " Rebello et al., USENIX ATC 2020",
    found_by=("mvcc", "invariants", "watch"),
    hunt={"nemesis": ("storage",)},
)


def plant() -> None:
    member_storage.check_applied = lambda *_: None
