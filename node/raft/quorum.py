"""Majorities: how far they agree, and how they vote.

Each function takes the voters it counts, so that a joint configuration can ask
twice, once for each half (Raft thesis, 4.3), and learners are simply not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from splitbrain.node.raft.message import MemberId


class VoteResult(Enum):
    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def majority(voters: Sequence[MemberId]) -> int:
    """The fewest voters that are more than half."""
    return len(voters) // 2 + 1


def quorum_index(voters: Sequence[MemberId], acknowledged: Mapping[MemberId, int]) -> int:
    """The highest index that a majority of `voters` has acknowledged.

    A voter that is not in `acknowledged` counts as 0. Source: Raft paper, figure 2,
    the leader's last rule, without its condition on the term.
    """
    ascending = sorted([acknowledged.get(voter, 0) for voter in voters])
    return ascending[len(ascending) - majority(voters)]


def tally(voters: Sequence[MemberId], votes: Mapping[MemberId, bool]) -> VoteResult:
    """Won with a majority of yes, lost as soon as that cannot come any more."""
    granted = sum(1 for voter in voters if votes.get(voter) is True)
    if granted >= majority(voters):
        return VoteResult.WON
    rejected = sum(1 for voter in voters if votes.get(voter) is False)
    if len(voters) - rejected < majority(voters):
        return VoteResult.LOST
    return VoteResult.PENDING
