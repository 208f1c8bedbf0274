"""Changes of the configuration are correct, and tests find planted bugs in them and in quorums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from splitbrain.node.raft import apply_confchange, quorum
from splitbrain.node.raft.confchange import (
    LEAVE_JOINT,
    ConfChange,
    ConfChangeSingle,
    ConfChangeType,
    Transition,
    changed,
    decode,
    encode,
)
from splitbrain.node.raft.errors import ConfChangeInvalid, RaftError
from splitbrain.node.raft.message import ConfState
from splitbrain.node.raft.quorum import VoteResult
from splitbrain.node.raft.raft import Raft
from tests.conformance.raft.comparison import differences

SCENARIO = Path(__file__).parents[2] / (
    "conformance/raft/testdata/replace_voter_under_partition.txt"
)
ADD, REMOVE = ConfChangeType.ADD_NODE, ConfChangeType.REMOVE_NODE
LEARNER = ConfChangeType.ADD_LEARNER_NODE
THREE = ConfState((1, 2, 3))


def change(*singles: tuple[ConfChangeType, int], how: Transition = Transition.AUTO) -> ConfChange:
    return ConfChange(tuple(ConfChangeSingle(kind, member) for kind, member in singles), how)


def test_a_voter_that_becomes_a_learner_stays_an_outgoing_voter_until_the_end() -> None:
    joint = changed(THREE, change((LEARNER, 3), (ADD, 4)))
    assert joint == ConfState((1, 2, 4), (), (1, 2, 3), (3,), auto_leave=True)
    assert joint.all_voters == (1, 2, 3, 4)
    assert changed(joint, LEAVE_JOINT) == ConfState((1, 2, 4), (3,))


@pytest.mark.parametrize(
    ("before", "wrong"),
    [
        (THREE, LEAVE_JOINT),
        (ConfState((1,)), change((REMOVE, 1))),
        (ConfState((1, 2), (), (1,)), change((ADD, 3))),
        (ConfState((1, 2), (), (1,)), change((ADD, 3), (ADD, 4))),
        (ConfState(), change((ADD, 1), (ADD, 2))),
    ],
)
def test_an_impossible_change_is_refused(before: ConfState, wrong: ConfChange) -> None:
    with pytest.raises(ConfChangeInvalid):
        changed(before, wrong)


def test_a_change_is_decoded_unchanged_and_garbage_is_refused() -> None:
    one = change((ADD, 2**64 - 1), how=Transition.JOINT_EXPLICIT)
    assert decode(encode(one)) == one
    assert encode(LEAVE_JOINT) == b""
    assert decode(b"") == LEAVE_JOINT
    with pytest.raises(ConfChangeInvalid):
        decode(b"\xff")


def test_a_joint_configuration_needs_a_majority_of_both_sets() -> None:
    old, new = (1, 2, 3), (3, 4, 5)
    assert quorum.joint_index(new, old, {1: 9, 2: 9, 3: 9, 4: 5}) == 5
    assert quorum.joint_index(new, (), {3: 9, 4: 5}) == 5
    votes = {1: True, 2: True, 3: True}
    assert quorum.joint_tally(new, old, votes) is VoteResult.PENDING
    assert quorum.joint_tally(new, old, {**votes, 4: True}) is VoteResult.WON
    assert quorum.joint_tally(new, old, {**votes, 4: False, 5: False}) is VoteResult.LOST


PLANTED_BUGS: dict[str, tuple[Any, str, Any]] = {
    "a joint quorum is taken for the one of the old voters": (
        quorum, "joint_index",
        lambda voters, outgoing, acked: quorum.quorum_index(outgoing or voters, acked),
    ),
    "a change is accepted in a joint configuration": (
        apply_confchange, "refusal", lambda raft, change: "",
    ),
    "new members have no progress": (apply_confchange, "_update_progress", lambda raft: None),
    "the configuration is lost in a snapshot": (
        Raft, "configuration_at", lambda self, index: THREE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED_BUGS)
def test_a_planted_bug_changes_the_output_of_an_interaction_test(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert differences(SCENARIO) == ""
    place, function, planted = PLANTED_BUGS[name]
    monkeypatch.setattr(place, function, planted)
    try:
        found = differences(SCENARIO)
    except (RaftError, AssertionError) as problem:
        found = str(problem)
    assert found
