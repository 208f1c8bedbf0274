"""Selects the members that a fault hits, from its target, when the fault begins.

The functions are pure: the caller passes the random stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from splitbrain.nemesis.fault_target import TARGETS, MemberName, Target


def choose_targets(
    target: Target, members: Sequence[MemberName], leader: MemberName | None, random: Random
) -> tuple[MemberName, ...]:
    """Return the members that `target` selects, in the order of `members`.

    These targets have special cases:

    - "leader" and "follower" select any one member if no leader is known. In a cluster of one,
      "follower" selects the only member.
    - "minority" selects at least one member and fewer than half. In a cluster of one or two, it
      selects no member.
    - "majority" selects more than half. It leaves out at least one member, except in a cluster of
      one or two.
    """
    count = len(members)
    match target:
        case "leader" if leader is not None and leader in members:
            return (leader,)
        case "follower" if leader in members and count > 1:
            return _sample([member for member in members if member != leader], 1, random)
        case "any" | "leader" | "follower":
            return _sample(members, 1, random)
        case "minority":
            largest = minority_size_max(count)
            return _sample(members, random.randint(1, largest), random) if largest else ()
        case "majority":
            smallest = count // 2 + 1
            return _sample(members, random.randint(smallest, max(smallest, count - 1)), random)
        case "all":
            return tuple(members)


def needs_leader(target: Target) -> bool:
    """Return whether the members that `target` selects depend on which member is the leader."""
    return target in ("leader", "follower")


def targets_for(member_count: int) -> tuple[Target, ...]:
    """Return the targets that can be drawn in a cluster of `member_count` members.

    A target is left out if it selects no member in such a cluster, or selects the same members as
    another target.
    """
    if member_count == 1:
        return ("all",)
    if member_count == 2:
        return tuple(target for target in TARGETS if target not in ("minority", "majority"))
    return TARGETS


def minority_size_max(member_count: int) -> int:
    """Return the largest number of members that is fewer than half."""
    return (member_count - 1) // 2


def _sample(members: Sequence[MemberName], size: int, random: Random) -> tuple[MemberName, ...]:
    """Return `size` of `members`, drawn at random, in the order of `members`."""
    places = sorted(random.sample(range(len(members)), size))
    return tuple(members[place] for place in places)
