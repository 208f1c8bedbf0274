"""After a restart the log is applied from the last snapshot on, whatever the backend holds."""

from __future__ import annotations

from typing import Any

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.apply import applier
from splitbrain.node.raft.raft import Raft

MUTANT = Mutant(
    what="entries that the backend holds already are applied again after a restart",
    source="etcd's consistent index; etcd issue 13766 (3.5.0 to 3.5.2: index and data apart)",
    found_by=("mvcc", "write_path", "invariants"),
    run={**SHORT_RUN, "workload": "kv", "nemesis": ("kill",)},
)


def plant() -> None:
    applier.is_applied = lambda store, entry: False
    honest = Raft.__init__

    def forgetful(self: Raft, *arguments: Any, **named: Any) -> None:
        named["applied"] = named["snapshot"].index
        honest(self, *arguments, **named)

    Raft.__init__ = forgetful  # type: ignore[method-assign]
