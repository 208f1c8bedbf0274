"""At the end of a run, the members' states are read until the members agree."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from splitbrain.harness.drive import final_phase
from splitbrain.harness.drive.final_phase import gather_states
from splitbrain.harness.systems.system import System
from splitbrain.histories.member_state import MemberState


class Members:
    """Each read of a member returns the next of its revisions, and the last one repeatedly.
    A negative revision is a failure."""

    def __init__(self, **revisions: list[int]) -> None:
        self.reads = 0
        self._revisions = revisions

    async def state(self, member: str, at_revision: int | None = None) -> MemberState:
        self.reads += 1
        left = self._revisions[member]
        revision = left.pop(0) if len(left) > 1 else left[0]
        if revision < 0:
            raise ConnectionRefusedError
        return MemberState(member, revision=revision)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(final_phase, "GATHER_PAUSE_S", 0.0)


def gathered(members: Members) -> list[int]:
    states = asyncio.run(gather_states(cast("System", members), ("n1", "n2"), 7))
    return [-1 if state.error else state.revision for state in states]


def test_states_are_read_again_until_their_revisions_are_equal() -> None:
    members = Members(n1=[8], n2=[7, 7, 8])
    assert gathered(members) == [8, 8]
    assert members.reads == 6


def test_states_with_equal_revisions_are_read_once() -> None:
    members = Members(n1=[8], n2=[8])
    assert gathered(members) == [8, 8]
    assert members.reads == 2


def test_a_member_that_stays_behind_keeps_its_revision() -> None:
    members = Members(n1=[8], n2=[7])
    assert gathered(members) == [8, 7]
    assert members.reads == 2 * final_phase.GATHER_TRIES


def test_a_member_that_does_not_answer_is_not_read_again() -> None:
    members = Members(n1=[8], n2=[-1])
    assert gathered(members) == [8, -1]
    assert members.reads == 2
