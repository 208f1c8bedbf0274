"""Aims: whom a fault hits, settled when it begins. Pure: the draws come from the caller."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from splitbrain.nemesis.fault import TARGETS, MemberName, Target


def choose_targets(
    target: Target, members: Sequence[MemberName], leader: MemberName | None, random: Random
) -> tuple[MemberName, ...]:
    """The members hit, in the order of `members`.

    Without a known leader, "leader" and "follower" mean any member; so does
    "follower" in a cluster of one. "minority" is at least one member and fewer than
    half (none in a cluster of one or two), "majority" more than half but, where that
    is possible, not all.
    """
    count = len(members)
    match target:
        case "leader" if leader is not None and leader in members:
            return (leader,)
        case "follower" if leader in members and count > 1:
            return _some([member for member in members if member != leader], 1, random)
        case "any" | "leader" | "follower":
            return _some(members, 1, random)
        case "minority":
            largest = minority_size_max(count)
            return _some(members, random.randint(1, largest), random) if largest else ()
        case "majority":
            smallest = count // 2 + 1
            return _some(members, random.randint(smallest, max(smallest, count - 1)), random)
        case "all":
            return tuple(members)


def needs_leader(target: Target) -> bool:
    """Whether who leads decides whom `aim` hits."""
    return target in ("leader", "follower")


def targets_for(member_count: int) -> tuple[Target, ...]:
    """Aims that hit somebody, and somebody else than another aim does, in a cluster so large."""
    if member_count == 1:
        return ("all",)
    if member_count == 2:
        return tuple(target for target in TARGETS if target not in ("minority", "majority"))
    return TARGETS


def minority_size_max(member_count: int) -> int:
    """The most members that are still fewer than half."""
    return (member_count - 1) // 2


def _some(members: Sequence[MemberName], size: int, random: Random) -> tuple[MemberName, ...]:
    """`size` of `members` at random, in their own order."""
    places = sorted(random.sample(range(len(members)), size))
    return tuple(members[place] for place in places)
