"""The members' states at the end of a run are of one moment, if the members allow it."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from splitbrain.harness.drive import final_phase as quiet
from splitbrain.harness.drive.final_phase import gather_states
from splitbrain.harness.systems.system import System
from splitbrain.histories.member_state import MemberState


class Members:
    """Each asked member answers with the next of its revisions, the last one for good."""

    def __init__(self, **revisions: list[int]) -> None:
        self.asked = 0
        self._revisions = revisions

    async def state(self, member: str, at_revision: int | None = None) -> MemberState:
        self.asked += 1
        left = self._revisions[member]
        revision = left.pop(0) if len(left) > 1 else left[0]
        if revision < 0:
            raise ConnectionRefusedError
        return MemberState(member, revision=revision)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "GATHER_PAUSE_S", 0.0)


def gathered(members: Members) -> list[int]:
    states = asyncio.run(gather_states(cast("System", members), ("n1", "n2"), 7))
    return [-1 if state.error else state.revision for state in states]


def test_a_write_that_falls_between_two_states_is_waited_for() -> None:
    members = Members(n1=[8], n2=[7, 7, 8])
    assert gathered(members) == [8, 8]
    assert members.asked == 6


def test_members_that_agree_are_asked_once() -> None:
    members = Members(n1=[8], n2=[8])
    assert gathered(members) == [8, 8]
    assert members.asked == 2


def test_a_member_that_stays_behind_is_told_as_it_is() -> None:
    members = Members(n1=[8], n2=[7])
    assert gathered(members) == [8, 7]
    assert members.asked == 2 * quiet.GATHER_TRIES


def test_a_member_that_does_not_answer_is_not_waited_for() -> None:
    members = Members(n1=[8], n2=[-1])
    assert gathered(members) == [8, -1]
    assert members.asked == 2
