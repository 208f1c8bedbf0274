"""The deck of a kind of fault: its variants, from which the faults of a run are drawn.

As from a deck of cards, each variant is drawn once before the deck is shuffled again.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from splitbrain.nemesis.fault import Fault
from splitbrain.nemesis.fault_target import Target
from splitbrain.nemesis.target import targets_for

Variant = Callable[[Random], Fault]
"""One variant in a deck, for example a kill of the leader. A call with a random stream returns a
fault of this variant, whose numbers, such as delays, are drawn."""

# The number of variants of a deck for each target. The leader has the most, because most errors of
# a protocol occur there. A fault on all members is rare, because few operations complete meanwhile.
_TARGET_WEIGHTS: dict[Target, int] = {
    "leader": 3, "any": 2, "follower": 2, "minority": 1, "majority": 1, "all": 1,
}


def weighted_targets(member_count: int) -> list[Target]:
    """Return the possible targets with `member_count` members, each repeated by its weight."""
    return [target for target in targets_for(member_count) for _ in range(_TARGET_WEIGHTS[target])]


def always(fault: Fault) -> Variant:
    """Return a variant that returns `fault` on each call."""
    return lambda _: fault
