"""Bug: a leader commits an entry with one acknowledgement fewer than a majority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.raft import quorum

MUTANT = Mutant(
    what="an entry is committed before a majority has stored it",
    source="Raft paper, figure 2 and 5.3: an entry is committed once a majority has stored it",
    found_by=("write_path", "invariants"),
    run={**SHORT_RUN, "workload": "kv", "nemesis": ("kill", "partition")},
)


def plant() -> None:
    def quorum_index(voters: Sequence[int], acknowledged: Mapping[int, int]) -> int:
        ascending = sorted(acknowledged.get(voter, 0) for voter in voters)
        return ascending[min(len(ascending) - 1, len(ascending) - quorum.majority(voters) + 1)]

    quorum.quorum_index = quorum_index
