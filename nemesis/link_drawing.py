"""The variants of faults that change single packets and connections of links.

`fault_variants.py` puts them together with the other variants.
"""

from __future__ import annotations

from splitbrain.nemesis.fault import Corruption, HalfOpen, PacketLoss, SlowReceiver, Target
from splitbrain.nemesis.fault_variants import Variant, always, weighted_targets


def packet_losses(member_count: int) -> list[Variant]:
    """Return the variants of packet loss from which the faults of a run are drawn."""
    def draw(target: Target) -> Variant:
        # The percentages range from that of a bad cable to that of a link that is hardly usable.
        return lambda random: PacketLoss(target, random.choice((0.5, 2.0, 10.0, 30.0, 60.0)))

    return [draw(target) for target in weighted_targets(member_count)]


def corruptions(member_count: int) -> list[Variant]:
    """Return the variants of packet corruption from which the faults of a run are drawn."""
    def draw(target: Target) -> Variant:
        return lambda random: Corruption(target, random.choice((0.1, 1.0, 5.0, 20.0)))

    return [draw(target) for target in weighted_targets(member_count)]


def half_open_connections(member_count: int) -> list[Variant]:
    """Return the variants of half-open connections from which the faults of a run are drawn."""
    return [always(HalfOpen(target)) for target in weighted_targets(member_count)]


def slow_receivers(member_count: int) -> list[Variant]:
    """Return the variants of slow receivers from which the faults of a run are drawn."""
    def draw(target: Target) -> Variant:
        # At the slowest rate, a heartbeat of 50 bytes takes 12 ms.
        return lambda random: SlowReceiver(target, random.choice((4 * 1024, 16 * 1024, 64 * 1024)))

    return [draw(target) for target in weighted_targets(member_count)]
