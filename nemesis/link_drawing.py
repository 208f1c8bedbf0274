"""The variants of faults of links: partitions, latency, and faults of packets and connections.

`fault_drawing.py` draws the faults of a run from all variants.
"""

from __future__ import annotations

from random import Random

from splitbrain.nemesis.fault import (
    Corruption,
    Fault,
    HalfOpen,
    Latency,
    PacketLoss,
    Partition,
    PartitionShape,
    SlowReceiver,
)
from splitbrain.nemesis.fault_target import Target
from splitbrain.nemesis.fault_variants import Variant, always, weighted_targets

_SHAPES: tuple[tuple[PartitionShape, Target], ...] = (
    ("isolate_leader", "leader"),
    ("isolate_leader", "leader"),
    ("isolate", "follower"),
    ("isolate", "any"),
    ("halves", "leader"),
    ("halves", "leader"),
    ("halves", "any"),
    ("bridge", "any"),
    ("ring", "any"),
    ("one_way", "leader"),
    ("one_way", "follower"),
    ("isolate", "all"),
)


def partitions(member_count: int) -> list[Variant]:
    """Return the variants of partitions from which the faults of a run are drawn."""
    return [
        _partition(shape, target)
        for shape, target in _SHAPES
        if member_count > 2 or shape not in ("bridge", "ring")
    ]


def _partition(shape: PartitionShape, target: Target) -> Variant:
    def draw(random: Random) -> Fault:
        return Partition(shape, target, "cut" if random.random() < 0.5 else "black_hole")

    return draw


def latencies(member_count: int) -> list[Variant]:
    """Return the variants of added latency from which the faults of a run are drawn."""
    return [_latency(target) for target in weighted_targets(member_count)]


def _latency(target: Target) -> Variant:
    def draw(random: Random) -> Fault:
        # The delays range from that of a busy data centre to more than an etcd heartbeat (100 ms),
        # and are shorter than its election timeout (1 s). One in three also has a limited rate.
        delay_ms = random.choice((5, 20, 50, 100, 250))
        jitter_ms = random.randint(0, delay_ms)
        rate = random.choice((0, 0, 64 * 1024))
        return Latency(target, delay_ms, jitter_ms, rate)

    return draw


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
