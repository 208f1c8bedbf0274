"""The checker `members` judges whether the member lists at the end of a run agree."""

from __future__ import annotations

import msgspec

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.membership.member_lists import check_members
from splitbrain.histories.history import History
from splitbrain.histories.member_state import ListedMember, MemberState

LISTED = tuple(ListedMember(number, (f"http://n{number}:2380",)) for number in (1, 2, 3))
STATES = tuple(MemberState(f"n{one.id}", member_id=one.id, members=LISTED) for one in LISTED)


def kinds(states: tuple[MemberState, ...], **fields: tuple[str, ...]) -> set[str]:
    verdict = check_members(Evidence(History.of(()), members=states, **fields))  # type: ignore[arg-type]
    assert verdict.valid is not bool(verdict.anomalies)
    return {one.kind for one in verdict.anomalies}


def with_list(*members: ListedMember) -> tuple[MemberState, ...]:
    """The states, of which the last one has another list."""
    return (*STATES[:2], msgspec.structs.replace(STATES[2], members=members))


def test_equal_lists_of_members_that_serve_are_valid() -> None:
    assert kinds(STATES) == set()
    assert kinds(with_list(*reversed(LISTED))) == set()


def test_each_difference_between_the_lists_is_found() -> None:
    learner = msgspec.structs.replace(LISTED[0], is_learner=True)
    moved = msgspec.structs.replace(LISTED[0], peer_urls=LISTED[1].peer_urls)
    stale = msgspec.structs.replace(LISTED[0], id=9)
    assert kinds(with_list(learner, *LISTED[1:])) == {"different lists", "still a learner"}
    assert kinds(with_list(moved, *LISTED[1:])) == {"different lists", "listed twice"}
    assert kinds(with_list(stale, *LISTED[1:])) == {
        "different lists", "no such member", "not listed"
    }
    assert kinds(with_list(*LISTED, LISTED[0])) == {"different lists", "listed twice"}
    assert kinds(with_list(*LISTED[1:])) == {"different lists", "not listed"}


def test_a_removed_member_must_not_serve() -> None:
    assert "serves without being a member" in kinds(with_list(*LISTED[:2]))


def test_an_incomplete_or_excused_run_is_not_required_to_be_complete() -> None:
    gone = MemberState("n3", error="no answer")
    assert kinds((*STATES[:2], gone)) == set()
    stale = msgspec.structs.replace(LISTED[2], id=9)
    states = tuple(msgspec.structs.replace(one, members=(*LISTED[:2], stale)) for one in STATES[:2])
    assert kinds((*states, gone)) == set()


def test_a_store_without_a_member_list_is_not_judged() -> None:
    states = tuple(MemberState(f"n{number}") for number in (1, 2, 3))
    verdict = check_members(Evidence(History.of(()), members=states))
    assert verdict.valid is True
    assert "not applicable" in verdict.why
