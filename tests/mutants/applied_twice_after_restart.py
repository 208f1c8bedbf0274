"""After a restart the log is applied from the last snapshot on, whatever the backend holds."""

from __future__ import annotations

from node import applier
from node.raft.raft import Raft
from tests.mutants import SHORT_RUN, Mutant

MUTANT = Mutant(
    what="entries that the backend holds already are applied again after a restart",
    source="etcd's consistent index; etcd issue 13766 (3.5.0 to 3.5.2: index and data apart)",
    found_by=("mvcc", "write_path", "invariants"),
    run={**SHORT_RUN, "workload": "kv", "nemesis": ("kill",)},
)


def spoil() -> None:
    applier.is_applied = lambda store, entry: False
    honest = Raft.__init__

    def forgetful(self: Raft, *arguments: object, **named: object) -> None:
        snapshot = named["snapshot"]
        honest(self, *arguments, **{**named, "applied": snapshot.index})  # type: ignore

    Raft.__init__ = forgetful  # type: ignore[assignment, method-assign]
