"""A leader counts one acknowledgement too few: it commits before a majority has synced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.raft import quorum

MUTANT = Mutant(
    what="the commit index is what one fewer than a majority holds",
    source="Raft paper, figure 2 and 5.3: an entry is committed once a majority stores it",
    found_by=("write_path", "invariants"),
    run={**SHORT_RUN, "workload": "kv", "nemesis": ("kill", "partition")},
)


def plant() -> None:
    def quorum_index(voters: Sequence[int], acknowledged: Mapping[int, int]) -> int:
        ascending = sorted(acknowledged.get(voter, 0) for voter in voters)
        return ascending[min(len(ascending) - 1, len(ascending) - quorum.majority(voters) + 1)]

    quorum.quorum_index = quorum_index
