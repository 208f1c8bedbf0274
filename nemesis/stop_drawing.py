"""The variants of faults that stop members: kills, pauses and power losses.

`fault_drawing.py` draws the faults of a run from all variants.
"""

from __future__ import annotations

from splitbrain.nemesis.fault import Kill, Pause, PowerLoss
from splitbrain.nemesis.fault_variants import Variant, always, weighted_targets
from splitbrain.nemesis.target import targets_for


def kills(member_count: int) -> list[Variant]:
    """Return the variants of kills from which the faults of a run are drawn."""
    return [always(Kill(target)) for target in weighted_targets(member_count)]


def pauses(member_count: int) -> list[Variant]:
    """Return the variants of pauses from which the faults of a run are drawn."""
    return [always(Pause(target)) for target in weighted_targets(member_count)]


def power_losses(member_count: int) -> list[Variant]:
    """Return the variants of power losses from which the faults of a run are drawn."""
    # Often all machines of a site lose power together, so each target has the same weight.
    return [always(PowerLoss(target)) for target in targets_for(member_count)]
