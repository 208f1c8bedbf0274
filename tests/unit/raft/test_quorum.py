"""Majorities: the index that a majority has acknowledged, and the result of a vote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.node.raft.quorum import VoteResult, majority, quorum_index, tally

voters = st.integers(1, 7).map(lambda size: tuple(range(1, size + 1)))


@pytest.mark.parametrize(
    ("acknowledged", "index"),
    [
        ({1: 5}, 0),
        ({1: 5, 2: 3}, 3),
        ({1: 5, 2: 3, 3: 4}, 4),
        ({1: 5, 2: 5, 3: 0}, 5),
        ({1: 5, 4: 9}, 0),
    ],
)
def test_the_quorum_index_of_three_voters_is_the_second_highest(
    acknowledged: dict[int, int], index: int
) -> None:
    assert quorum_index((1, 2, 3), acknowledged) == index


@given(voters, st.dictionaries(st.integers(1, 9), st.integers(0, 20)))
def test_the_quorum_index_is_the_highest_that_a_majority_acknowledged(
    members: tuple[int, ...], acknowledged: dict[int, int]
) -> None:
    index = quorum_index(members, acknowledged)

    def holders(at: int) -> int:
        return sum(acknowledged.get(member, 0) >= at for member in members)

    assert holders(index) >= majority(members)
    assert holders(index + 1) < majority(members)


@given(voters, st.dictionaries(st.integers(1, 9), st.booleans()))
def test_an_election_is_decided_when_the_missing_votes_cannot_change_its_result(
    members: tuple[int, ...], votes: dict[int, bool]
) -> None:
    missing = [member for member in members if member not in votes]
    best = sum(votes.get(member, True) for member in members)
    worst = best - len(missing)
    expected = VoteResult.PENDING
    if worst >= majority(members):
        expected = VoteResult.WON
    elif best < majority(members):
        expected = VoteResult.LOST
    assert tally(members, votes) is expected
