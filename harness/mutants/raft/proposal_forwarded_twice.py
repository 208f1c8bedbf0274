"""Bug: a follower forwards each proposal twice."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role

MUTANT = Mutant(
    what="a forwarded proposal enters the log twice",
    source="Raft thesis, 6.3: a retried command is executed twice unless it is recognised",
    found_by=("write_path", "mvcc"),
    run={**SHORT_RUN, "workload": "kv", "nemesis": ()},
)


def plant() -> None:
    original = Raft.propose

    def propose(self: Raft, data: bytes) -> None:
        original(self, data)
        if self.role is not Role.LEADER:
            original(self, data)

    Raft.propose = propose  # type: ignore[method-assign]
