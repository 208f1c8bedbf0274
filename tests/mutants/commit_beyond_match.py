"""A follower commits as far as the leader says and its log goes, whatever of it matches."""

from __future__ import annotations

from node.raft import follower
from node.raft.log import Log
from node.raft.message import Index
from tests.mutants import Mutant

MUTANT = Mutant(
    what="the commit index is taken beyond the entries that the append confirmed",
    source="scylladb/scylladb issue 9965; atomix/copycat issue 265; Raft paper, figure 2:"
    " min(leaderCommit, index of last new entry)",
    found_by=("invariants", "mvcc"),
)


def spoil() -> None:
    honest = Log.commit_to

    def commit_to(self: Log, index: Index) -> bool:
        return honest(self, min(index, self.last_index))

    Log.commit_to = commit_to  # type: ignore[method-assign]
    follower.commit_told = lambda leader_commit, matching: leader_commit
