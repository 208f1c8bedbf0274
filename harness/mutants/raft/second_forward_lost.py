"""Bug: a follower that forwards several proposals at the same time sends only the first."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import forwarding
from splitbrain.node.raft.message import Entry
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a forwarded write is lost without an error if another one is forwarded with it",
    source="etcd-io/etcd issue 9884 (a proposal that is forwarded is sent once, and was dropped"
    " when a queue was full)",
    found_by=("invariants",),
)


def plant() -> None:
    original = forwarding.send_forwards

    def send_forwards(raft: RaftState, entries: list[Entry]) -> None:
        original(raft, entries[:1])

    forwarding.send_forwards = send_forwards
