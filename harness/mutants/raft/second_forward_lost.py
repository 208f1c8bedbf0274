"""A follower that forwards several proposals at the same moment sends only the first one."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import Entry
from splitbrain.node.raft.raft import Raft

MUTANT = Mutant(
    what="a forwarded write is lost without an error if another one is forwarded with it",
    source="etcd-io/etcd issue 9884 (a proposal that is forwarded is sent once, and was dropped"
    " when a queue was full)",
    found_by=("invariants",),
)


def plant() -> None:
    original = Raft._send_forwards

    def _send_forwards(self: Raft, entries: list[Entry]) -> None:
        original(self, entries[:1])

    Raft._send_forwards = _send_forwards  # type: ignore[method-assign]
