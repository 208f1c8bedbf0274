"""Checks each entry that a member commits.

    same entries       no two members commit different entries at an index
    quorum durability  when an entry is first committed, it is durable on a majority, as the disk
                       of each member reports
    commit rule        the last entry that a leader commits by counting is of its own term

Source: Raft paper, figure 3 and 5.4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.simulation.raft_invariants.observations import Observations
from splitbrain.harness.simulation.raft_invariants.observed_raft import (
    ObservedRaft,
    contains,
    is_quorum,
)
from splitbrain.node.raft.message import ConfState
from splitbrain.node.raft.raft import Raft


class CommitInvariants:
    """Checks the entries from a member's previous commit index to its present one."""

    def __init__(self, observations: Observations) -> None:
        self._observations = observations

    def check_same_entries(self, name: str, first: int, raft: Raft) -> None:
        """Compare committed entries of `raft`, from `first` on, with those of the other members."""
        log, committed = raft.log, self._observations.committed
        for index in range(first, log.committed + 1):
            term = log.term_at(index)
            known = committed.get(index)
            if known is None:
                assert term is not None
                committed[index] = term
            elif known != term:
                self._observations.violated(
                    f"{name} committed entry {index} of term {term}, but another member has "
                    f"committed an entry {index} of term {known}"
                )

    def check_quorum(self, name: str, index: int, valid: Sequence[ConfState]) -> None:
        """Check that the entry `index`, when first committed, is durable on a majority.

        `valid` contains the configurations before and after the step, because a step can commit
        entries and then apply a change of the configuration. A majority of one of them is enough.
        """
        term = self._observations.committed.get(index)
        if term is None:
            return  # a snapshot was restored: the entry was committed and compacted in one step
        seen = self._observations.seen
        holders = [
            other for other, one in seen.items() if _stores_durably(one, index, term)
        ]
        ids = {seen[other].raft.id for other in holders}
        ids |= {one.raft.id for one in self._observations.former}
        if not any(is_quorum(ids, conf_state) for conf_state in valid):
            self._observations.violated(
                f"{name} committed entry {index} of term {term}, which is durable only on "
                f"{', '.join(holders) or 'no member'}"
            )

    def check_commit_rule(self, name: str, raft: Raft) -> None:
        """Check that the last entry that a leader has committed by counting is of its own term.

        A leader counts the followers that store an entry.
        """
        term = raft.log.term_at(raft.log.committed)
        if term is not None and term != raft.term:
            self._observations.violated(
                f"{name} leads in term {raft.term} and committed entry {raft.log.committed} of "
                f"term {term} by counting"
            )


def _stores_durably(one: ObservedRaft, index: int, term: int) -> bool:
    if one.durable_index() >= index and contains(one.raft, index, term):
        return True
    return one.raft.floor >= (term, index)
