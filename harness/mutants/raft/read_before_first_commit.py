"""Bug: a new leader answers reads before it has committed an entry of its term.

Its commit index may be behind until then.
"""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader

MUTANT = Mutant(
    what="a new leader answers reads with a commit index that is behind",
    source="etcd-io/etcd issue 7331; tikv/tikv pull request 9239; Raft thesis, 6.4, step 1",
    found_by=("mvcc", "linearizable", "invariants"),
)


def plant() -> None:
    leader.read_index = leader.start_read
