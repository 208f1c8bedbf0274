"""Bug: a member still regards the entries of a truncated tail as durable."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Index

MUTANT = Mutant(
    what="a leader whose log was truncated before counts new entries before it has synced them",
    source="etcd-io/raft, log_unstable.go: truncateAndAppend moves the offset of the stable part"
    " back",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    original = Log._truncate

    def truncate(self: Log, first: Index) -> None:
        durable = self.durable
        original(self, first)
        self.durable = durable

    Log._truncate = truncate  # type: ignore[method-assign]
