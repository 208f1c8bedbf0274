"""Checks each new leader: one leader a term, a majority of votes, and all committed entries.

    election safety      a term has at most one leader
    votes                a leader has the votes of a majority, durable on each voter
    leader completeness  a leader's log contains all entries committed in earlier terms

Source: Raft paper, figure 3, 5.2 and 5.4.
"""

from __future__ import annotations

from splitbrain.harness.simulation.raft_invariants.observations import Observations
from splitbrain.harness.simulation.raft_invariants.observed_raft import contains, is_quorum
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role


class LeaderInvariants:
    """Checks every member that becomes leader, at the step in which it does."""

    def __init__(self, observations: Observations) -> None:
        self._observations = observations
        self._leaders: dict[int, str] = {}
        """Maps each term to the first member that was seen as its leader."""

    def last_term(self) -> int:
        """Return the highest term that has had a leader, or 0."""
        return max(self._leaders, default=0)

    def elected(self, name: str, raft: Raft) -> None:
        """Check the member `name`, which has just become leader of the term of `raft`."""
        other = self._leaders.setdefault(raft.term, name)
        if other != name:
            self._observations.violated(f"{other} and {name} both lead in term {raft.term}")
        self._count_situation(name, raft)
        self._check_votes(name, raft)
        self._check_completeness(name, raft)

    def _count_situation(self, name: str, raft: Raft) -> None:
        # The log may already contain the empty entry of the new term.
        own = raft.log.last_term == raft.term
        earlier = raft.log.last_index - (1 if own else 0)
        sometimes, members = self._observations.coverage.sometimes, self._observations.members
        sometimes(
            "a leader began with uncommitted entries of an earlier term",
            earlier > raft.log.committed,
        )
        sometimes(
            "two members led at once, in different terms",
            any(
                one.raft.role is Role.LEADER and members[other].runs
                for other, one in self._observations.seen.items()
                if other != name
            ),
        )

    def _check_votes(self, name: str, raft: Raft) -> None:
        seen, former = self._observations.seen, self._observations.former
        voters = [other for other, one in seen.items() if one.voted_for(raft)]
        ids = {seen[other].raft.id for other in voters}
        ids |= {one.raft.id for one in former if one.voted_for(raft)}
        if not is_quorum(ids, raft.conf_state):
            self._observations.violated(
                f"{name} leads in term {raft.term}, but the votes for it are durable only on "
                f"{', '.join(voters) or 'no member'}"
            )

    def _check_completeness(self, name: str, raft: Raft) -> None:
        """Check that the leader's log contains the entries that were committed in earlier terms.

        A leader that is elected by delayed votes may lack entries that were committed in later
        terms. Such a leader can never commit an entry, so this is no violation.
        """
        committed, committed_by = self._observations.committed, self._observations.committed_by
        last = max((index for term, index in committed_by.items() if term < raft.term), default=0)
        if last and not contains(raft, last, committed[last]):
            self._observations.violated(
                f"{name} leads in term {raft.term} and lacks entry {last} of term "
                f"{committed[last]}, which is committed"
            )
