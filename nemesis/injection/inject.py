"""The one door between a fault, which is a value, and what it does to a system."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from random import Random

from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import Kill, Latency, MemberName, Partition, Pause, Target
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce, Undo
from splitbrain.nemesis.target import choose_targets, needs_leader
from splitbrain.nemesis.topology import Link, cut_links, touching


@dataclass(frozen=True, slots=True)
class Injected:
    """What a fault came to: whom it hit, which links it touches, and how to heal it."""

    members: tuple[MemberName, ...]
    links: tuple[Link, ...]
    undo: Undo


@singledispatch
async def inject(fault: object, in_force: FaultsInForce, random: Random) -> Injected:
    """Inflict `fault` on the system that `grip` holds; `random` settles whom it hits.

    In force when it returns. Its `undo` heals it and is safe to call twice. What
    fails is taken back before the error is raised: FaultError for a system that
    cannot suffer it, otherwise what the system raised. A fault of one's own is
    registered with `@begin.register`.
    """
    raise TypeError(
        f"{fault!r} is no fault that the nemesis can inflict: "
        "expected one of splitbrain.nemesis.fault, "
        "or one registered with splitbrain.nemesis.injection.inject.register"
    )


@inject.register
async def _kill(fault: Kill, in_force: FaultsInForce, random: Random) -> Injected:
    members = await targeted_members(fault.target, in_force, random, fault.on)
    return Injected(members, (), await in_force.hold("killed", members))


@inject.register
async def _pause(fault: Pause, in_force: FaultsInForce, random: Random) -> Injected:
    members = await targeted_members(fault.target, in_force, random, fault.on)
    return Injected(members, (), await in_force.hold("paused", members))


@inject.register
async def _partition(fault: Partition, in_force: FaultsInForce, random: Random) -> Injected:
    target: Target = "leader" if fault.shape == "isolate_leader" else fault.target
    chosen: tuple[MemberName, ...] = ()
    if not fault.links and fault.shape not in ("bridge", "ring"):
        chosen = await targeted_members(target, in_force, random, fault.on)
    links = fault.links or cut_links(fault.shape, in_force.system.members, chosen, random)
    state = LinkState(open=False) if fault.how == "cut" else LinkState(black_hole=True)
    undo = await in_force.condition(dict.fromkeys(links, state))
    return Injected(chosen or _ends(links, in_force), links, undo)


@inject.register
async def _latency(fault: Latency, in_force: FaultsInForce, random: Random) -> Injected:
    members = await targeted_members(fault.target, in_force, random, fault.on)
    links = touching(in_force.system.members, members)
    state = LinkState(
        delay_ms=fault.delay_ms,
        jitter_ms=fault.jitter_ms,
        rate_bytes_per_s=fault.rate_bytes_per_s,
    )
    return Injected(members, links, await in_force.condition(dict.fromkeys(links, state)))


async def targeted_members(
    target: Target, in_force: FaultsInForce, random: Random, on: tuple[MemberName, ...] = ()
) -> tuple[MemberName, ...]:
    """Whom `aim` hits now, or `on` if that names anybody; the system is only asked who
    leads where that matters. Raises FaultError for a member that there is none of."""
    if on:
        unknown = [name for name in on if name not in in_force.system.members]
        if unknown:
            raise FaultError(
                f"no member {', '.join(unknown)} in this cluster: it has "
                f"{', '.join(in_force.system.members)}"
            )
        return tuple(name for name in in_force.system.members if name in on)
    leader = await in_force.system.leader() if needs_leader(target) else None
    return choose_targets(target, in_force.system.members, leader, random)


def _ends(links: tuple[Link, ...], in_force: FaultsInForce) -> tuple[MemberName, ...]:
    ends = {member for link in links for member in link}
    return tuple(member for member in in_force.system.members if member in ends)
