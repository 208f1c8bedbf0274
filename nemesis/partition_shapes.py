"""The directed links that each shape of a partition cuts.

A link is `(source, target)`, and carries the bytes that `source` sends to `target`. The functions
are pure: the caller passes the random stream. They return links in the order of the members.

Source: the partitions of Jepsen's nemesis (isolated node, halves, bridge, ring of majorities);
one-way partitions follow Jepsen's asymmetric packet loss.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random

from splitbrain.nemesis.fault import PartitionShape
from splitbrain.nemesis.fault_target import CLIENTS, MemberName
from splitbrain.nemesis.target import minority_size_max

Link = tuple[MemberName, MemberName]
"""A directed link: its source and its target."""


def cut_links(
    shape: PartitionShape,
    members: Sequence[MemberName],
    chosen: Collection[MemberName],
    random: Random,
) -> tuple[Link, ...]:
    """Return the links that `shape` cuts; `chosen` are the members that the fault's target selects.

    - isolate, isolate_leader: the links between each chosen member and all others.
    - halves: the links between two parts. The smaller part has as many members as possible, but
      fewer than half. In a cluster of two, each part is one member. Chosen members are in the
      smaller part as far as there is room.
    - bridge: see `bridge`.
    - ring: see `ring`.
    - one_way: the links from chosen members to all others.
    - clients: the links between each chosen member and the clients.
    """
    match shape:
        case "isolate" | "isolate_leader":
            return _links_where(members, lambda a, b: a in chosen or b in chosen)
        case "halves":
            small = _minority(members, chosen, random)
            return _links_where(members, lambda a, b: (a in small) != (b in small))
        case "bridge":
            return bridge(members, random)
        case "ring":
            return ring(members, random)
        case "one_way":
            return _links_where(members, lambda a, _: a in chosen)
        case "clients":
            return tuple(
                link
                for member in members if member in chosen
                for link in ((member, CLIENTS), (CLIENTS, member))
            )


def bridge(members: Sequence[MemberName], random: Random) -> tuple[Link, ...]:
    """Return the links to cut so that only one member connects the two halves of the others.

    This member, which is drawn, stays connected to both halves. Returns no links for fewer than
    three members.
    """
    if len(members) < 3:
        return ()
    order = random.sample(list(members), len(members))
    side = {member: 1 + place % 2 for place, member in enumerate(order[1:])}
    side[order[0]] = 0
    return _links_where(members, lambda a, b: side[a] != side[b] and side[a] != 0 != side[b])


def ring(members: Sequence[MemberName], random: Random) -> tuple[Link, ...]:
    """Return the links to cut so that each member is connected to a different majority.

    The members form a ring in random order. Each member stays connected to its nearest neighbours
    on both sides. The number of neighbours is such that they and the member form a majority.

    In a cluster of three, a member and its two neighbours are the whole cluster. Therefore links in
    such a cluster are cut one way: each member receives only from its predecessor and sends only to
    its successor. Returns no links for fewer than three members.
    """
    count = len(members)
    if count < 3:
        return ()
    order = random.sample(list(members), count)
    place = {member: index for index, member in enumerate(order)}
    if count == 3:
        return _links_where(members, lambda a, b: (place[b] - place[a]) % 3 != 1)
    reach = (count // 2 + 1) // 2  # (majority - 1) / 2, rounded up
    return _links_where(
        members,
        lambda a, b: min((place[a] - place[b]) % count, (place[b] - place[a]) % count) > reach,
    )


def links_touching(
    members: Sequence[MemberName], chosen: Collection[MemberName]
) -> tuple[Link, ...]:
    """Return all links to or from a member of `chosen`."""
    return _links_where(members, lambda a, b: a in chosen or b in chosen)


def _minority(
    members: Sequence[MemberName], chosen: Collection[MemberName], random: Random
) -> frozenset[MemberName]:
    order = random.sample(list(members), len(members))
    order.sort(key=lambda member: member not in chosen)
    size = max(minority_size_max(len(members)), 1)
    return frozenset(order[:size]) if len(members) > 1 else frozenset()


def _links_where(
    members: Sequence[MemberName], cut: Callable[[MemberName, MemberName], bool]
) -> tuple[Link, ...]:
    return tuple((a, b) for a in members for b in members if a != b and cut(a, b))
