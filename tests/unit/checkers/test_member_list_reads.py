"""The checker `members` judges reads of the member list during the load."""

from __future__ import annotations

import msgspec
import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.membership.member_lists import check_members
from splitbrain.histories.kv import Header
from splitbrain.histories.member_list import MemberList, MemberListResult
from splitbrain.histories.member_state import ListedMember
from tests.unit.checkers.service_history import Told, told

OWN_STATE = MemberList(linearizable=False)


def listed(*ids: int) -> MemberListResult:
    members = tuple(ListedMember(one, (f"http://n{one}:2380",)) for one in ids)
    return MemberListResult(Header(), members)


def kinds(*asked: Told) -> list[str]:
    verdict = check_members(Evidence(told(*asked)))
    assert verdict.counts["reads"] == sum(isinstance(one[3], MemberListResult) for one in asked)
    assert verdict.valid is not bool(verdict.anomalies)
    return [one.kind for one in verdict.anomalies]


BEFORE: Told = (0, 1, MemberList(), listed(1, 2, 3))
REMOVED: Told = (2, 3, MemberList(), listed(1, 2))
REPLACED: Told = (4, 5, MemberList(), listed(1, 2, 4))


def test_a_list_that_follows_the_changes_is_valid() -> None:
    assert kinds(BEFORE, REMOVED, REPLACED) == []
    assert kinds(BEFORE, REMOVED, REPLACED, (6, 7, MemberList(), listed(1, 2))) == []


def test_a_removed_member_that_is_listed_again_is_found() -> None:
    assert kinds(BEFORE, REMOVED, (4, 5, MemberList(), listed(1, 2, 3))) == [
        "removed member is listed again"
    ]
    verdict = check_members(Evidence(told(
        BEFORE, REMOVED, REPLACED, (6, 7, MemberList(), listed(1, 2, 3))
    )))
    assert verdict.anomalies[0].because == (
        "n1 answered process 3's read of the member list at 7.000 s with 1, 2, 3, although 3 had "
        "been removed: n1 answered process 0's read of the member list at 1.000 s with 1, 2, 3, "
        "and after that n1 answered process 1's read of the member list at 3.000 s with 1, 2"
    )


@pytest.mark.parametrize("late", [
    (2.5, 5, MemberList(), listed(1, 2, 3)),  # overlaps the read that shows the removal
    (4, 5, OWN_STATE, listed(1, 2, 3)),
    (4, 5, MemberList(), "timed out"),
    (4, 5, MemberList(), None),
])  # fmt: skip
def test_a_read_that_may_be_old_is_valid(late: Told) -> None:
    assert kinds(BEFORE, REMOVED, late) == []


def test_a_list_that_is_empty_or_contains_a_member_twice_is_found() -> None:
    assert kinds((0, 1, OWN_STATE, MemberListResult())) == ["empty list"]
    assert kinds((0, 1, MemberList(), listed(1, 1))) == ["listed twice", "listed twice"]
    moved = msgspec.structs.replace(listed(1).members[0], id=2)
    both = MemberListResult(Header(), (*listed(1).members, moved))
    assert kinds((0, 1, MemberList(), both)) == ["listed twice"]
