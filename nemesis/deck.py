"""Decks: the variants of one kind of fault, from which the faults of a run are drawn."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from splitbrain.nemesis.fault import Fault, Target
from splitbrain.nemesis.target import targets_for

Variant = Callable[[Random], Fault]
"""One variant of a fault in a deck. A call returns a fault, whose numbers it draws."""

# The number of variants of a deck for each target. The leader has the most, because most errors
# of a protocol are there. A fault on all members is rare, because few operations complete then.
_TARGET_WEIGHTS: dict[Target, int] = {
    "leader": 3, "any": 2, "follower": 2, "minority": 1, "majority": 1, "all": 1,
}


def weighted_targets(member_count: int) -> list[Target]:
    """Return the targets in a cluster of `member_count` members, each as often as its weight."""
    return [target for target in targets_for(member_count) for _ in range(_TARGET_WEIGHTS[target])]


def always(fault: Fault) -> Variant:
    """Return a variant that always returns `fault`."""
    return lambda _: fault
