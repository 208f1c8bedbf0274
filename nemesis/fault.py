"""Faults as values. What each does to a system has one door: `nemesis.hands.begin`.

A fault names whom it hits by an `Aim`, which is settled when the fault begins (who
leads is not known when the plan is drawn).
"""

from __future__ import annotations

from typing import Literal

import msgspec

MemberName = str

Aim = Literal["any", "leader", "follower", "minority", "majority", "all"]
"""Whom a fault hits: one member drawn at random, the one that leads, one that does
not, fewer than half, more than half, everyone."""

AIMS: tuple[Aim, ...] = ("any", "leader", "follower", "minority", "majority", "all")

PartitionShape = Literal[
    "isolate", "isolate_leader", "halves", "bridge", "ring", "one_way"
]
"""isolate: one member (by `aim`) from all others. isolate_leader: the same for the
leader. halves: a minority from a majority. bridge: two halves that only one member
sees both of. ring: each member sees a majority, no two the same one. one_way: what
one member (by `aim`) sends is lost, what it is sent arrives."""

PARTITION_SHAPES: tuple[PartitionShape, ...] = (
    "isolate", "isolate_leader", "halves", "bridge", "ring", "one_way",
)


class Kill(msgspec.Struct, frozen=True, tag_field="fault", tag="kill"):
    """SIGKILL; healed by a restart on the same data."""

    aim: Aim = "any"


class Pause(msgspec.Struct, frozen=True, tag_field="fault", tag="pause"):
    """SIGSTOP; healed by SIGCONT."""

    aim: Aim = "any"


class Partition(msgspec.Struct, frozen=True, tag_field="fault", tag="partition"):
    """Cut links between members. `cut` closes connections and refuses new ones;
    `black_hole` keeps them open and lets nothing through."""

    shape: PartitionShape = "isolate"
    aim: Aim = "any"
    how: Literal["cut", "black_hole"] = "cut"


class Latency(msgspec.Struct, frozen=True, tag_field="fault", tag="latency"):
    """Slow links to and from the members aimed at: each chunk of bytes is delayed by
    `delay_ms` plus or minus up to `jitter_ms` (in order), at no more than
    `rate_bytes_per_s` (0: no limit)."""

    aim: Aim = "any"
    delay_ms: int = 50
    jitter_ms: int = 25
    rate_bytes_per_s: int = 0


class PowerLoss(msgspec.Struct, frozen=True, tag_field="fault", tag="power"):
    """The machines aimed at lose power at one moment, with all that is not on their
    disks; healed by a restart on what is left."""

    aim: Aim = "any"


class ClockJump(msgspec.Struct, frozen=True, tag_field="fault", tag="clock"):
    """Wall clocks are set `ahead_ms` forward (or back), and set right again when healed."""

    aim: Aim = "any"
    ahead_ms: int = 60_000


class ClockDrift(msgspec.Struct, frozen=True, tag_field="fault", tag="drift"):
    """Clocks count faster by `ppm` millionths (or slower), timers with them."""

    aim: Aim = "any"
    ppm: int = 50_000


class DiskFault(msgspec.Struct, frozen=True, tag_field="fault", tag="disk"):
    """Disks fail as the fields say (see `nemesis.capabilities.DiskState`); a member that
    stopped for it is started again when it is healed."""

    aim: Aim = "any"
    slow_ms: int = 0
    full: bool = False
    write_error_percent: float = 0.0
    sync_error_percent: float = 0.0
    lying: bool = False
    misdirect_percent: float = 0.0


class BitRot(msgspec.Struct, frozen=True, tag_field="fault", tag="rot"):
    """One bit that is durable flips, on each member aimed at. Nothing heals it."""

    aim: Aim = "any"


Fault = (
    Kill | Pause | Partition | Latency
    | PowerLoss | ClockJump | ClockDrift | DiskFault | BitRot
)


class PlannedFault(msgspec.Struct, frozen=True):
    """A fault and when it is in force, in ms since the load began."""

    begin_ms: int
    end_ms: int
    fault: Fault
    seed: int
    """For what is drawn when it begins: which member an `aim` picks."""
