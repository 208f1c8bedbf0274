"""Bug: a candidate wins with one vote fewer than a majority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import quorum
from splitbrain.node.raft.message import MemberId

MUTANT = Mutant(
    what="half of the voters are enough to elect a leader",
    source="Raft paper, 5.2: a candidate wins with the votes of a majority in the same term",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    original = quorum.tally

    def tally(voters: Sequence[MemberId], votes: Mapping[MemberId, bool]) -> quorum.VoteResult:
        granted = sum(1 for voter in voters if votes.get(voter) is True)
        if granted >= max(quorum.majority(voters) - 1, 1):
            return quorum.VoteResult.WON
        return original(voters, votes)

    quorum.tally = tally
