"""Computes majorities: the index that a majority has acknowledged, and the result of a vote.

The voters are a parameter of each function, so learners are not counted. A joint configuration has
a second set of voters (`outgoing`), and needs a majority of each set (Raft thesis, 4.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from splitbrain.node.raft.message import MemberId


class VoteResult(Enum):
    """The result of a vote: WON, LOST, or PENDING until one of the two is certain."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def majority(voters: Sequence[MemberId]) -> int:
    """Return the smallest number of voters that is more than half."""
    return len(voters) // 2 + 1


def quorum_index(voters: Sequence[MemberId], acknowledged: Mapping[MemberId, int]) -> int:
    """Return the highest index that a majority of `voters` has acknowledged.

    For a voter that is not in `acknowledged`, the index is 0. Source: Raft paper, figure 2, the
    last rule for leaders, without its condition on the term.
    """
    ascending = sorted([acknowledged.get(voter, 0) for voter in voters])
    return ascending[len(ascending) - majority(voters)]


def tally(voters: Sequence[MemberId], votes: Mapping[MemberId, bool]) -> VoteResult:
    """Return WON if a majority has granted, LOST if this has become impossible, or else PENDING."""
    granted = sum(1 for voter in voters if votes.get(voter) is True)
    if granted >= majority(voters):
        return VoteResult.WON
    rejected = sum(1 for voter in voters if votes.get(voter) is False)
    if len(voters) - rejected < majority(voters):
        return VoteResult.LOST
    return VoteResult.PENDING


def joint_index(
    voters: Sequence[MemberId],
    outgoing: Sequence[MemberId],
    acknowledged: Mapping[MemberId, int],
) -> int:
    """Return the highest index that a majority of each of the two sets has acknowledged."""
    index = quorum_index(voters, acknowledged)
    return min(index, quorum_index(outgoing, acknowledged)) if outgoing else index


def joint_tally(
    voters: Sequence[MemberId], outgoing: Sequence[MemberId], votes: Mapping[MemberId, bool]
) -> VoteResult:
    """Return WON if both sets have won, LOST if one of them has lost, or else PENDING."""
    incoming = tally(voters, votes)
    if not outgoing or incoming is VoteResult.LOST:
        return incoming
    other = tally(outgoing, votes)
    return incoming if other is VoteResult.WON else other
