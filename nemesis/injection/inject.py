"""The one door between a fault, which is a value, and what it does to a system."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from random import Random

from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import Aim, Kill, Latency, MemberName, Partition, Pause
from splitbrain.nemesis.injection.faults_in_force import Grip, Undo
from splitbrain.nemesis.target import needs_leader, take_aim
from splitbrain.nemesis.topology import Link, cut_links, touching


@dataclass(frozen=True, slots=True)
class Inflicted:
    """What a fault came to: whom it hit, which links it touches, and how to heal it."""

    members: tuple[MemberName, ...]
    links: tuple[Link, ...]
    undo: Undo


@singledispatch
async def begin(fault: object, grip: Grip, random: Random) -> Inflicted:
    """Inflict `fault` on the system that `grip` holds; `random` settles whom it hits.

    In force when it returns. Its `undo` heals it and is safe to call twice. What
    fails is taken back before the error is raised: FaultError for a system that
    cannot suffer it, otherwise what the system raised. A fault of one's own is
    registered with `@begin.register`.
    """
    raise TypeError(
        f"{fault!r} is no fault that the nemesis can inflict: "
        "expected one of splitbrain.nemesis.fault, "
        "or one registered with splitbrain.nemesis.injection.inject.begin.register"
    )


@begin.register
async def _kill(fault: Kill, grip: Grip, random: Random) -> Inflicted:
    members = await aimed_at(fault.aim, grip, random, fault.on)
    return Inflicted(members, (), await grip.hold("killed", members))


@begin.register
async def _pause(fault: Pause, grip: Grip, random: Random) -> Inflicted:
    members = await aimed_at(fault.aim, grip, random, fault.on)
    return Inflicted(members, (), await grip.hold("paused", members))


@begin.register
async def _partition(fault: Partition, grip: Grip, random: Random) -> Inflicted:
    aim: Aim = "leader" if fault.shape == "isolate_leader" else fault.aim
    chosen: tuple[MemberName, ...] = ()
    if not fault.links and fault.shape not in ("bridge", "ring"):
        chosen = await aimed_at(aim, grip, random, fault.on)
    links = fault.links or cut_links(fault.shape, grip.system.members, chosen, random)
    state = LinkState(open=False) if fault.how == "cut" else LinkState(black_hole=True)
    undo = await grip.condition(dict.fromkeys(links, state))
    return Inflicted(chosen or _ends(links, grip), links, undo)


@begin.register
async def _latency(fault: Latency, grip: Grip, random: Random) -> Inflicted:
    members = await aimed_at(fault.aim, grip, random, fault.on)
    links = touching(grip.system.members, members)
    state = LinkState(
        delay_ms=fault.delay_ms,
        jitter_ms=fault.jitter_ms,
        rate_bytes_per_s=fault.rate_bytes_per_s,
    )
    return Inflicted(members, links, await grip.condition(dict.fromkeys(links, state)))


async def aimed_at(
    aim: Aim, grip: Grip, random: Random, on: tuple[MemberName, ...] = ()
) -> tuple[MemberName, ...]:
    """Whom `aim` hits now, or `on` if that names anybody; the system is only asked who
    leads where that matters. Raises FaultError for a member that there is none of."""
    if on:
        unknown = [name for name in on if name not in grip.system.members]
        if unknown:
            raise FaultError(
                f"no member {', '.join(unknown)} in this cluster: it has "
                f"{', '.join(grip.system.members)}"
            )
        return tuple(name for name in grip.system.members if name in on)
    leader = await grip.system.leader() if needs_leader(aim) else None
    return take_aim(aim, grip.system.members, leader, random)


def _ends(links: tuple[Link, ...], grip: Grip) -> tuple[MemberName, ...]:
    ends = {member for link in links for member in link}
    return tuple(member for member in grip.system.members if member in ends)
