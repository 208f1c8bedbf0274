"""The variants of faults that change the members or move the leadership.

`fault_variants.py` puts them together with the other variants.
"""

from __future__ import annotations

from random import Random

from splitbrain.nemesis.fault import (
    Fault,
    JointChange,
    LeaderTransfer,
    MembershipChange,
)
from splitbrain.nemesis.fault_target import Target
from splitbrain.nemesis.fault_variants import Variant, always

LEARNER_PERCENT = 50
CONTENDED_PERCENT = 30


def membership_changes(member_count: int) -> list[Variant]:
    """Return the variants of membership changes from which the faults of a run are drawn.

    Each of them keeps a majority of the members in their places.
    """

    def draw(target: Target) -> Variant:
        return lambda random: _membership_change(target, random)

    several: tuple[Target, ...] = ("minority", "minority") if member_count > 4 else ()
    return [draw(target) for target in ("leader", "leader", "follower", "any", *several)]


def _membership_change(target: Target, random: Random) -> Fault:
    return MembershipChange(
        target,
        random.choice(("replace", "replace", "remove")),
        learner=random.random() * 100 < LEARNER_PERCENT,
        contended=random.random() * 100 < CONTENDED_PERCENT,
    )


def joint_changes(member_count: int) -> list[Variant]:
    """Return the variants of joint changes from which the faults of a run are drawn.

    Each of them leaves at least one voter.
    """

    def draw(target: Target) -> Variant:
        return lambda random: JointChange(target, explicit=random.random() < 0.7)

    several: tuple[Target, ...] = ("minority", "majority") if member_count > 2 else ()
    return [draw(target) for target in ("leader", "follower", *several)]


def leader_transfers(member_count: int) -> list[Variant]:
    """Return the variants of leadership transfers from which the faults of a run are drawn."""
    several: tuple[Target, ...] = ("minority", "all") if member_count > 2 else ()
    targets: tuple[Target, ...] = ("follower", "follower", "any", *several)
    return [always(LeaderTransfer(target)) for target in targets]
