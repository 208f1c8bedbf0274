"""Which members a fault hits, and which links a partition of each shape cuts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nemesis.fault import PARTITION_SHAPES, PartitionShape
from splitbrain.nemesis.fault_target import CLIENTS, TARGETS, Target
from splitbrain.nemesis.partition_shapes import Link, cut_links, links_touching
from splitbrain.nemesis.target import choose_targets, targets_for

FIVE = ("n1", "n2", "n3", "n4", "n5")

clusters = st.integers(1, 9).map(lambda n: tuple(f"n{i + 1}" for i in range(n)))
randoms = st.integers(0, 2**32).map(Random)


def received_by(member: str, members: Sequence[str], cut: Collection[Link]) -> set[str]:
    """The members that `member` receives from, including itself."""
    return {one for one in members if one == member or (one, member) not in cut}


def connected_to(member: str, members: Sequence[str], cut: Collection[Link]) -> set[str]:
    return {one for one in received_by(member, members, cut) if (member, one) not in cut}


@given(clusters, st.sampled_from(TARGETS), randoms, st.data())
def test_a_target_selects_as_many_members_as_its_name_means(
    members: tuple[str, ...], target: Target, random: Random, data: st.DataObject
) -> None:
    leader = data.draw(st.sampled_from((None, *members)))
    hit = choose_targets(target, members, leader, random)
    assert list(hit) == [member for member in members if member in hit]
    count = len(members)
    match target:
        case "any":
            assert len(hit) == 1
        case "leader":
            assert len(hit) == 1
            assert leader is None or hit == (leader,)
        case "follower":
            assert len(hit) == 1
            assert leader is None or count == 1 or leader not in hit
        case "minority":
            assert len(hit) < count / 2
            assert len(hit) >= 1 or count < 3
        case "majority":
            assert len(hit) > count / 2
            assert len(hit) < count or count < 3
        case "all":
            assert hit == members


@given(clusters, randoms)
def test_every_target_for_a_cluster_selects_a_member(
    members: tuple[str, ...], random: Random
) -> None:
    for target in targets_for(len(members)):
        assert choose_targets(target, members, members[0], random)


@given(clusters, st.sampled_from(PARTITION_SHAPES), st.integers(0, 2**32), st.data())
def test_the_same_draw_gives_the_same_links_between_different_members(
    members: tuple[str, ...], shape: PartitionShape, seed: int, data: st.DataObject
) -> None:
    chosen = data.draw(st.sets(st.sampled_from(members), min_size=1))
    cut = cut_links(shape, members, chosen, Random(seed))
    assert cut == cut_links(shape, members, sorted(chosen), Random(seed))
    assert len(set(cut)) == len(cut)
    ends = {*members, CLIENTS} if shape == "clients" else {*members}
    assert all(a != b and a in ends and b in ends for a, b in cut)


@pytest.mark.parametrize("shape", ["isolate", "isolate_leader"])
def test_an_isolated_member_is_connected_to_no_other_and_the_others_are_to_each_other(
    shape: PartitionShape,
) -> None:
    cut = set(cut_links(shape, FIVE, ("n2",), Random(1)))
    assert connected_to("n2", FIVE, cut) == {"n2"}
    assert all(connected_to(m, FIVE, cut) == set(FIVE) - {"n2"} for m in FIVE if m != "n2")


@given(clusters.filter(lambda members: len(members) > 2), randoms, st.data())
def test_halves_separate_a_minority_that_contains_the_chosen_member(
    members: tuple[str, ...], random: Random, data: st.DataObject
) -> None:
    chosen = data.draw(st.sampled_from(members))
    cut = set(cut_links("halves", members, (chosen,), random))
    sides = {frozenset(connected_to(member, members, cut)) for member in members}
    small, large = sorted(sides, key=len)
    assert small | large == set(members)
    assert not small & large
    assert len(small) < len(members) / 2
    assert chosen in small


@given(clusters.filter(lambda members: len(members) > 2), randoms)
def test_a_bridge_is_connected_to_all_and_each_half_only_to_itself_and_the_bridge(
    members: tuple[str, ...], random: Random
) -> None:
    cut = set(cut_links("bridge", members, (), random))
    bridges = [m for m in members if connected_to(m, members, cut) == set(members)]
    assert len(bridges) == 1
    sides = {frozenset(connected_to(m, members, cut)) for m in members if m != bridges[0]}
    assert len(sides) == 2
    one, other = sides
    assert one & other == {bridges[0]}
    assert abs(len(one) - len(other)) <= 1


@given(clusters.filter(lambda members: len(members) > 2), randoms)
def test_in_a_ring_each_member_receives_from_a_majority_and_no_two_from_the_same_one(
    members: tuple[str, ...], random: Random
) -> None:
    cut = set(cut_links("ring", members, (), random))
    received = [frozenset(received_by(m, members, cut)) for m in members]
    assert all(len(members) / 2 < len(one) < len(members) for one in received)
    assert len(set(received)) == len(members)


def test_one_way_cuts_only_the_links_from_the_chosen_member() -> None:
    cut = set(cut_links("one_way", FIVE, ("n3",), Random(1)))
    assert cut == {("n3", other) for other in FIVE if other != "n3"}


def test_links_touching_a_member_have_both_directions() -> None:
    links = links_touching(("a", "b", "c"), ("a",))
    assert links == (("a", "b"), ("a", "c"), ("b", "a"), ("c", "a"))
