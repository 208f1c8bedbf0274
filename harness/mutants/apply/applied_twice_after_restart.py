"""Bug: after a restart the member applies entries whose effects the backend already contains.

The member applies the log from the last snapshot on and ignores the backend's consistent index.
"""

from __future__ import annotations

from typing import Any

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.apply import applier
from splitbrain.node.raft.raft import Raft

MUTANT = Mutant(
    what="entries that the backend already contains are applied again after a restart",
    source="etcd's consistent index; etcd-io/etcd issue 13766 (3.5.0 to 3.5.2: index and data"
    " diverge)",
    found_by=("mvcc", "write_path", "invariants"),
    run={**SHORT_RUN, "workload": "kv", "nemesis": ("kill",)},
)


def plant() -> None:
    applier.is_applied = lambda store, entry: False
    original = Raft.__init__

    def __init__(self: Raft, *arguments: Any, **options: Any) -> None:
        options["applied"] = options["snapshot"].index
        original(self, *arguments, **options)

    Raft.__init__ = __init__  # type: ignore[method-assign]
