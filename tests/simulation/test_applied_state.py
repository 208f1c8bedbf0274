"""The states of two members after the same entry are compared, and a difference is described."""

from splitbrain.harness.simulation.raft_invariants.applied_state import AppliedState, difference

STATE = AppliedState(
    revision=7, compacted=-1, changes=6, keys=3, leases=((1, 5, 0, 2), (2, 5, 0, 0)), alarms=(),
    auth=(False, 1), members=((1, False), (2, False)),
)


def test_equal_states_have_no_difference() -> None:
    assert difference(STATE, STATE._replace()) == ""


def test_the_first_part_that_differs_is_described() -> None:
    other = STATE._replace(revision=8, compacted=3)
    assert difference(STATE, other) == "revision 7, and another member had 8"


def test_of_a_list_only_the_elements_that_differ_are_shown() -> None:
    other = STATE._replace(leases=((1, 5, 0, 2), (3, 9, 0, 0)))
    assert difference(STATE, other) == (
        "leases [(2, 5, 0, 0)], and another member had [(3, 9, 0, 0)]"
    )
