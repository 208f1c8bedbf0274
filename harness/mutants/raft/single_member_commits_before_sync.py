"""Bug: the only member of a cluster commits entries before they are synced."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import commit
from splitbrain.node.raft.message import EntryType
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="the only member of a cluster answers a write before it is durable",
    source="etcd-io/etcd issue 14370: durability guarantee broken in single node cluster",
    found_by=("write_path", "invariants"),
)


def plant() -> None:
    original = RaftState.append_own

    def append_own(
        self: RaftState, data: bytes, kind: EntryType = EntryType.NORMAL
    ) -> None:
        original(self, data, kind)
        if len(self.voters) == 1:
            self.progress[self.id].acknowledge(self.log.last_index)
            commit.maybe_commit(self)

    RaftState.append_own = append_own  # type: ignore[method-assign]
