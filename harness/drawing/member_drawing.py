"""Draws the member to which an operation is sent.

An operation is sent to any member, to a follower, or to the only member that the client uses.
"""

from __future__ import annotations

from random import Random


def draw_member(random: Random, members: int, follower_share: float) -> tuple[bool, int]:
    """Draw whether an operation is sent to a follower, and a number that selects the member.

    The two values are the fields `to_follower` and `member` of a `ScheduledOperation`. If
    `to_follower` is True, the number counts only the followers. Both values are drawn in every
    case, so that `follower_share` does not change later random values.
    """
    to_follower = random.random() < follower_share
    return to_follower, random.randrange(members)


def draw_bound(random: Random, members: int, bound_share: float) -> int | None:
    """Draw the index of the member to which a client sends all its operations, or None.

    None means that the client sends operations to all members. If a member is cut off, every client
    that uses all members soon waits for an answer of that member. A client that uses only another
    member continues.
    """
    bound, member = random.random() < bound_share, random.randrange(members)
    return member if bound else None
