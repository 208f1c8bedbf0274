"""Bug: a leader adds more to its uncommitted size for a proposal than it subtracts later."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import EntryType
from splitbrain.node.raft.raft_state import RaftState

BUFFER_BYTES = 256 * 1024

MUTANT = Mutant(
    what="a leader refuses or drops all proposals after a while, because its limit is used up",
    source="etcd-io/etcd pull request 10167 (the limit of the uncommitted size of a leader must"
    " be released by what was charged)",
    found_by=("availability", "invariants"),
)


def plant() -> None:
    original = leader.propose

    def propose(raft: RaftState, data: bytes, kind: EntryType = EntryType.NORMAL) -> None:
        original(raft, data, kind)
        raft.uncommitted_bytes += BUFFER_BYTES

    leader.propose = propose
