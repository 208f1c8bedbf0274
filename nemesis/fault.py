"""Faults as values. What each does to a system has one door:
`splitbrain.nemesis.injection.inject.begin`.

A fault names whom it hits by an `Aim`, which is settled when the fault begins (who
leads is not known when the plan is drawn), or by `on`, which names the members
themselves and leaves nothing to be settled.
"""

from __future__ import annotations

from typing import Literal

import msgspec

MemberName = str

_WIRE_NAMES = {"target": "aim"}

Target = Literal["any", "leader", "follower", "minority", "majority", "all"]
"""Whom a fault hits: one member drawn at random, the one that leads, one that does
not, fewer than half, more than half, everyone."""

TARGETS: tuple[Target, ...] = ("any", "leader", "follower", "minority", "majority", "all")

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


class Kill(msgspec.Struct, frozen=True, tag_field="fault", rename=_WIRE_NAMES, tag="kill"):
    """SIGKILL; healed by a restart on the same data."""

    target: Target = "any"
    on: tuple[MemberName, ...] = ()


class Pause(msgspec.Struct, frozen=True, tag_field="fault", rename=_WIRE_NAMES, tag="pause"):
    """SIGSTOP; healed by SIGCONT."""

    target: Target = "any"
    on: tuple[MemberName, ...] = ()


class Partition(
    msgspec.Struct, frozen=True, tag_field="fault", rename=_WIRE_NAMES, tag="partition"
):
    """Cut links between members. `cut` closes connections and refuses new ones;
    `black_hole` keeps them open and lets nothing through."""

    shape: PartitionShape = "isolate"
    target: Target = "any"
    how: Literal["cut", "black_hole"] = "cut"
    on: tuple[MemberName, ...] = ()
    links: tuple[tuple[MemberName, MemberName], ...] = ()
    """Exactly these, each (source, target), whatever `shape` says."""


class Latency(msgspec.Struct, frozen=True, tag_field="fault", rename=_WIRE_NAMES, tag="latency"):
    """Slow links to and from the members aimed at: each chunk of bytes is delayed by
    `delay_ms` plus or minus up to `jitter_ms` (in order), at no more than
    `rate_bytes_per_s` (0: no limit)."""

    target: Target = "any"
    delay_ms: int = 50
    jitter_ms: int = 25
    rate_bytes_per_s: int = 0
    on: tuple[MemberName, ...] = ()


class PowerLoss(msgspec.Struct, frozen=True, tag_field="fault", rename=_WIRE_NAMES, tag="power"):
    """The machines aimed at lose power at one moment, with all that is not on their
    disks; healed by a restart on what is left."""

    target: Target = "any"
    on: tuple[MemberName, ...] = ()


class ClockJump(msgspec.Struct, frozen=True, tag_field="fault", rename=_WIRE_NAMES, tag="clock"):
    """Wall clocks are set `ahead_ms` forward (or back), and set right again when healed."""

    target: Target = "any"
    ahead_ms: int = 60_000
    on: tuple[MemberName, ...] = ()


class ClockDrift(msgspec.Struct, frozen=True, tag_field="fault", rename=_WIRE_NAMES, tag="drift"):
    """Clocks count faster by `ppm` millionths (or slower), timers with them."""

    target: Target = "any"
    ppm: int = 50_000
    on: tuple[MemberName, ...] = ()


class DiskFault(msgspec.Struct, frozen=True, tag_field="fault", rename=_WIRE_NAMES, tag="disk"):
    """Disks fail as the fields say (see `splitbrain.nemesis.capabilities.DiskState`); a member that
    stopped for it is started again when it is healed."""

    target: Target = "any"
    slow_ms: int = 0
    full: bool = False
    write_error_percent: float = 0.0
    sync_error_percent: float = 0.0
    lying: bool = False
    misdirect_percent: float = 0.0
    on: tuple[MemberName, ...] = ()


class BitRot(msgspec.Struct, frozen=True, tag_field="fault", rename=_WIRE_NAMES, tag="rot"):
    """One bit that is durable flips, on each member aimed at. Nothing heals it."""

    target: Target = "any"
    on: tuple[MemberName, ...] = ()


StepAction = Literal["crash", "power", "pause", "sleep", "isolate"]
"""What a member suffers at a step of the write path. crash: its process ends. power: its
machine loses power (a process that holds unsynced writes back loses them). pause: it
stands still. sleep: the step alone takes so long. isolate: its links are cut."""

STEP_ACTIONS: tuple[StepAction, ...] = ("crash", "power", "pause", "sleep", "isolate")


class AtStep(msgspec.Struct, frozen=True, tag_field="fault", rename=_WIRE_NAMES, tag="step"):
    """What happens to a member when it comes to a failpoint of the write path, such as
    `before_leader_wal`, for the `visit`-th time since it was armed.

    It is armed when operation number `operation` of the plan is about to begin (see
    `splitbrain.harness.schedule.plan.Plan.order`), 0: at its own time; and in force, once the
    member has
    come there, for as long as was planned. A step that nobody comes to is no fault.
    """

    failpoint: str
    do: StepAction = "crash"
    operation: int = 0
    visit: int = 1
    target: Target = "any"
    on: tuple[MemberName, ...] = ()


Fault = (
    Kill | Pause | Partition | Latency
    | PowerLoss | ClockJump | ClockDrift | DiskFault | BitRot | AtStep
)


class PlannedFault(msgspec.Struct, frozen=True):
    """A fault and when it is in force, in ms since the load began."""

    begin_ms: int
    end_ms: int
    fault: Fault
    seed: int
    """For what is drawn when it begins: which member an `aim` picks."""
