"""Partitions: which directed links a shape cuts. Pure: the draws come from the caller.

A link is `(source, target)`: what `source` sends to `target`. Links come out in the
order of the members, whatever was drawn.

Source: the partitions of Jepsen's nemesis (isolated node, halves, bridge, ring of
majorities); one-way ones as in Jepsen's asymmetric packet loss.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random

from splitbrain.nemesis.fault import MemberName, PartitionShape
from splitbrain.nemesis.target import minority_size_max

Link = tuple[MemberName, MemberName]
"""Source, target."""


def cut_links(
    shape: PartitionShape,
    members: Sequence[MemberName],
    chosen: Collection[MemberName],
    random: Random,
) -> tuple[Link, ...]:
    """The links that `shape` cuts; `chosen` are the members that the fault is aimed at.

    isolate, isolate_leader: each chosen member from every other. halves: the largest
    minority (of two members: one) from the rest, with the chosen members in it as far
    as there is room. bridge: all but one member stand in two halves that do not see
    each other; the one sees both. ring: see `ring`. one_way: what chosen members send.
    """
    match shape:
        case "isolate" | "isolate_leader":
            return _where(members, lambda a, b: a in chosen or b in chosen)
        case "halves":
            small = _minority(members, chosen, random)
            return _where(members, lambda a, b: (a in small) != (b in small))
        case "bridge":
            return bridge(members, random)
        case "ring":
            return ring(members, random)
        case "one_way":
            return _where(members, lambda a, _: a in chosen)


def bridge(members: Sequence[MemberName], random: Random) -> tuple[Link, ...]:
    """Two halves, and one member, drawn, that sees both. Nothing for fewer than three."""
    if len(members) < 3:
        return ()
    order = random.sample(list(members), len(members))
    side = {member: 1 + place % 2 for place, member in enumerate(order[1:])}
    side[order[0]] = 0
    return _where(members, lambda a, b: side[a] != side[b] and side[a] != 0 != side[b])


def ring(members: Sequence[MemberName], random: Random) -> tuple[Link, ...]:
    """Each member sees a majority, no two members the same one.

    Members stand in a drawn ring and see as many neighbours on either side as make a
    majority. With three members that would be everyone, so that there each hears the
    one before it and is heard by the one after it alone: links cut one way. Nothing
    for fewer than three members.
    """
    count = len(members)
    if count < 3:
        return ()
    order = random.sample(list(members), count)
    place = {member: index for index, member in enumerate(order)}
    if count == 3:
        return _where(members, lambda a, b: (place[b] - place[a]) % 3 != 1)
    reach = (count // 2 + 1) // 2  # (majority - 1) / 2, rounded up
    return _where(
        members,
        lambda a, b: min((place[a] - place[b]) % count, (place[b] - place[a]) % count) > reach,
    )


def touching(members: Sequence[MemberName], chosen: Collection[MemberName]) -> tuple[Link, ...]:
    """Every link to or from one of `chosen`."""
    return _where(members, lambda a, b: a in chosen or b in chosen)


def _minority(
    members: Sequence[MemberName], chosen: Collection[MemberName], random: Random
) -> frozenset[MemberName]:
    order = random.sample(list(members), len(members))
    order.sort(key=lambda member: member not in chosen)
    size = max(minority_size_max(len(members)), 1)
    return frozenset(order[:size]) if len(members) > 1 else frozenset()


def _where(
    members: Sequence[MemberName], cut: Callable[[MemberName, MemberName], bool]
) -> tuple[Link, ...]:
    return tuple((a, b) for a in members for b in members if a != b and cut(a, b))
