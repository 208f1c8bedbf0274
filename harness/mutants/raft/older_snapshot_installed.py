"""Bug: a follower installs any snapshot, even one that is older than its applied state."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import follower
from splitbrain.node.raft.message import HardState, Snapshot
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a delayed snapshot reverts entries that were committed after it",
    source="etcd-io/etcd pull request 1763; camunda/camunda issue 6092; Raft paper, section 7",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    def restore(raft: RaftState, snapshot: Snapshot) -> bool:
        log, metadata = raft.log, snapshot.metadata
        log.committed = min(log.committed, metadata.index - 1)
        log.applied = min(log.applied, log.committed)
        log.restore(snapshot)
        raft.adopt_configuration(metadata.conf_state, metadata.index)
        return True

    def _new_hard_state(self: Raft) -> HardState | None:
        hard_state = HardState(self.term, self.vote, self.log.committed)
        return None if hard_state == self._handed_hard_state else hard_state

    follower.restore = restore
    Raft._new_hard_state = _new_hard_state  # type: ignore[method-assign]
