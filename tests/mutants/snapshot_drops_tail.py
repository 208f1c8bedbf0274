"""A snapshot replaces the whole log, also what follows it and matches."""

from __future__ import annotations

from node.raft import follower
from node.raft.message import Snapshot
from node.raft.raft import Raft
from tests.mutants import Mutant

MUTANT = Mutant(
    what="entries that were acknowledged are lost to a snapshot that ends before them",
    source="etcd-io/etcd pull request 1763; tikv/raft-rs issue 430; Raft paper, figure 13, step 6",
    found_by=("invariants", "mvcc"),
)


def spoil() -> None:
    def restore(raft: Raft, snapshot: Snapshot) -> bool:
        if snapshot.metadata.index <= raft.log.committed:
            return False
        raft.log.restore(snapshot)
        raft.adopt_configuration(snapshot.metadata.conf_state)
        return True

    follower.restore = restore
