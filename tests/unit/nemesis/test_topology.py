from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nemesis.fault import PARTITION_SHAPES, TARGETS, PartitionShape, Target
from splitbrain.nemesis.target import choose_targets, targets_for
from splitbrain.nemesis.topology import Link, cut_links, touching

FIVE = ("n1", "n2", "n3", "n4", "n5")

clusters = st.integers(1, 9).map(lambda n: tuple(f"n{i + 1}" for i in range(n)))
randoms = st.integers(0, 2**32).map(Random)


def heard_by(member: str, members: Sequence[str], cut: Collection[Link]) -> set[str]:
    """Whom `member` hears, itself included."""
    return {one for one in members if one == member or (one, member) not in cut}


def sees(member: str, members: Sequence[str], cut: Collection[Link]) -> set[str]:
    return {one for one in heard_by(member, members, cut) if (member, one) not in cut}


@given(clusters, st.sampled_from(TARGETS), randoms, st.data())
def test_an_aim_hits_as_many_members_as_its_name_says(
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
def test_every_aim_that_suits_a_cluster_hits_somebody(
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
    assert all(a != b and a in members and b in members for a, b in cut)


@pytest.mark.parametrize("shape", ["isolate", "isolate_leader"])
def test_an_isolated_member_sees_nobody_and_the_others_each_other(shape: PartitionShape) -> None:
    cut = set(cut_links(shape, FIVE, ("n2",), Random(1)))
    assert sees("n2", FIVE, cut) == {"n2"}
    assert all(sees(m, FIVE, cut) == set(FIVE) - {"n2"} for m in FIVE if m != "n2")


@given(clusters.filter(lambda members: len(members) > 2), randoms, st.data())
def test_halves_part_a_minority_that_holds_the_member_aimed_at(
    members: tuple[str, ...], random: Random, data: st.DataObject
) -> None:
    chosen = data.draw(st.sampled_from(members))
    cut = set(cut_links("halves", members, (chosen,), random))
    sides = {frozenset(sees(member, members, cut)) for member in members}
    small, large = sorted(sides, key=len)
    assert small | large == set(members)
    assert not small & large
    assert len(small) < len(members) / 2
    assert chosen in small


@given(clusters.filter(lambda members: len(members) > 2), randoms)
def test_a_bridge_sees_all_and_the_halves_see_only_themselves_and_it(
    members: tuple[str, ...], random: Random
) -> None:
    cut = set(cut_links("bridge", members, (), random))
    bridges = [m for m in members if sees(m, members, cut) == set(members)]
    assert len(bridges) == 1
    sides = {frozenset(sees(m, members, cut)) for m in members if m != bridges[0]}
    assert len(sides) == 2
    one, other = sides
    assert one & other == {bridges[0]}
    assert abs(len(one) - len(other)) <= 1


@given(clusters.filter(lambda members: len(members) > 2), randoms)
def test_in_a_ring_each_hears_a_majority_and_no_two_the_same_one(
    members: tuple[str, ...], random: Random
) -> None:
    cut = set(cut_links("ring", members, (), random))
    heard = [frozenset(heard_by(m, members, cut)) for m in members]
    assert all(len(members) / 2 < len(one) < len(members) for one in heard)
    assert len(set(heard)) == len(members)


def test_one_way_loses_what_the_member_sends_and_nothing_else() -> None:
    cut = set(cut_links("one_way", FIVE, ("n3",), Random(1)))
    assert cut == {("n3", other) for other in FIVE if other != "n3"}


def test_links_that_touch_a_member_go_both_ways() -> None:
    assert touching(("a", "b", "c"), ("a",)) == (("a", "b"), ("a", "c"), ("b", "a"), ("c", "a"))
