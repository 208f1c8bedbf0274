"""The variants of faults of clocks: how far a clock jumps, and how fast it drifts.

`fault_drawing.py` draws the faults of a run from all variants.
"""

from __future__ import annotations

from splitbrain.nemesis.fault import ClockDrift, ClockJump
from splitbrain.nemesis.fault_target import Target
from splitbrain.nemesis.fault_variants import Variant, weighted_targets


def clock_jumps(member_count: int) -> list[Variant]:
    """Return the variants of jumps of the wall clock from which the faults of a run are drawn."""
    def draw(target: Target) -> Variant:
        return lambda random: ClockJump(
            target, random.choice((-3_600_000, -5_000, -500, 500, 5_000, 3_600_000))
        )

    return [draw(target) for target in weighted_targets(member_count)]


def clock_drifts(member_count: int) -> list[Variant]:
    """Return the variants of drifts of the clock from which the faults of a run are drawn."""
    def draw(target: Target) -> Variant:
        # The rates range from that of a bad crystal to that of a broken virtual machine.
        return lambda random: ClockDrift(
            target, random.choice((-1, 1)) * random.choice((200, 5_000, 50_000, 300_000))
        )

    return [draw(target) for target in weighted_targets(member_count)]
