"""The function `inject`, which injects a fault into a system; each fault type has an injector."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import singledispatch
from random import Random
from typing import Any, Protocol

from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import Kill, Latency, Partition, Pause
from splitbrain.nemesis.fault_target import MemberName, Target
from splitbrain.nemesis.injection.fault_effect import Effect, known, on_links, running, unknown
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce, Undo, system_name
from splitbrain.nemesis.partition_shapes import Link, cut_links, links_touching
from splitbrain.nemesis.target import choose_targets, needs_leader

OnMember = Callable[[MemberName], Awaitable[object]]


class Targeted(Protocol):
    """A fault that hits the members which `target` selects, or those in `on`."""

    @property
    def target(self) -> Target: ...

    @property
    def on(self) -> tuple[MemberName, ...]: ...


@dataclass(frozen=True, slots=True)
class Injected:
    """The result of an injection: the members hit, the links changed, the Undo and the effect.

    The Undo is the function that heals the fault.
    """

    members: tuple[MemberName, ...]
    links: tuple[Link, ...]
    undo: Undo
    effect: Effect = unknown
    ends_with_undo: bool = False
    """Whether the effect is known only after the call of `undo`, which waits for the fault's
    end."""


def without_effect(members: tuple[MemberName, ...]) -> Injected:
    """Return the result of an injection that has changed nothing, and needs no healing."""

    async def nothing() -> None:
        return

    return Injected(members, (), nothing, known(""))


@singledispatch
async def inject(fault: object, in_force: FaultsInForce, random: Random) -> Injected:
    """Inject `fault` into `in_force.system`. `random` draws the members that the fault hits.

    The fault is in force when the function returns. The returned `undo` heals the fault and may be
    called twice. Register the injector of a new type of fault with `@inject.register`.

    Raises FaultError if the system does not support the fault. An error of the system is raised
    unchanged. Before an error is raised, the function heals the part that it has injected.
    """
    raise TypeError(
        f"{fault!r} is not a fault that the nemesis can inject: expected a fault of "
        "splitbrain.nemesis.fault, or of a type that is registered with "
        "splitbrain.nemesis.injection.inject.inject.register"
    )


@inject.register
async def _kill(fault: Kill, in_force: FaultsInForce, random: Random) -> Injected:
    members = await resolve_target(fault.target, in_force, random, fault.on)
    effect = known(", ".join(f"killed {one}" for one in running(members, in_force)))
    return Injected(members, (), await in_force.stop_members("killed", members), effect)


@inject.register
async def _pause(fault: Pause, in_force: FaultsInForce, random: Random) -> Injected:
    members = await resolve_target(fault.target, in_force, random, fault.on)
    ran = [one for one in running(members, in_force) if not in_force.is_paused(one)]
    effect = known(", ".join(f"paused {one}" for one in ran))
    return Injected(members, (), await in_force.stop_members("paused", members), effect)


@inject.register
async def _partition(fault: Partition, in_force: FaultsInForce, random: Random) -> Injected:
    target: Target = "leader" if fault.shape == "isolate_leader" else fault.target
    chosen: tuple[MemberName, ...] = ()
    if not fault.links and fault.shape not in ("bridge", "ring"):
        chosen = await resolve_target(target, in_force, random, fault.on)
    links = fault.links or cut_links(fault.shape, in_force.system.members, chosen, random)
    state = LinkState(open=False) if fault.how == "cut" else LinkState(black_hole=True)
    effect = on_links(links, in_force)
    undo = await in_force.set_links(dict.fromkeys(links, state))
    return Injected(chosen or _ends(links, in_force), links, undo, effect)


@inject.register
async def _latency(fault: Latency, in_force: FaultsInForce, random: Random) -> Injected:
    members = await resolve_target(fault.target, in_force, random, fault.on)
    links = links_touching(in_force.system.members, members)
    state = LinkState(
        delay_ms=fault.delay_ms,
        jitter_ms=fault.jitter_ms,
        rate_bytes_per_s=fault.rate_bytes_per_s,
    )
    effect = on_links(links, in_force)
    undo = await in_force.set_links(dict.fromkeys(links, state))
    return Injected(members, links, undo, effect)


async def resolve_target(
    target: Target, in_force: FaultsInForce, random: Random, on: tuple[MemberName, ...] = ()
) -> tuple[MemberName, ...]:
    """Return the members in `on` or, if `on` is empty, those that `target` selects now.

    The system is asked for its leader only if the target depends on the leader. Raises FaultError
    for a name in `on` that is not a member of the cluster.
    """
    if on:
        unknown = [name for name in on if name not in in_force.system.members]
        if unknown:
            raise FaultError(
                f"no member {', '.join(unknown)} in this cluster: its members are "
                f"{', '.join(in_force.system.members)}"
            )
        return tuple(name for name in in_force.system.members if name in on)
    leader = await in_force.system.leader() if needs_leader(target) else None
    return choose_targets(target, in_force.system.members, leader, random)


def _ends(links: tuple[Link, ...], in_force: FaultsInForce) -> tuple[MemberName, ...]:
    ends = {member for link in links for member in link}
    return tuple(member for member in in_force.system.members if member in ends)


async def inject_on_each(
    fault: Targeted,
    in_force: FaultsInForce,
    random: Random,
    inject_on: OnMember,
    heal: OnMember,
) -> Injected:
    """Call `inject_on` with each member that the fault hits, and later `heal` with each.

    The Undo in the result, which ends the fault, calls `heal`. `inject_on` may return a text that
    says what the fault changed on the member ("" if nothing). If all calls return texts, these
    texts are the effect of the fault. Otherwise the effect is unknown.
    """
    members = await resolve_target(fault.target, in_force, random, fault.on)

    async def heal_all() -> None:
        for member in members:
            await heal(member)

    undo = in_force.register(heal_all)
    found = [await inject_on(member) for member in members]
    texts = [one for one in found if isinstance(one, str)]
    effect = known(", ".join(filter(None, texts))) if len(texts) == len(found) else unknown
    return Injected(members, (), undo, effect)


def require(in_force: FaultsInForce, protocol: type) -> Any:
    """Return the system into which faults are injected.

    Raises FaultError if its class does not have the methods of `protocol`.
    """
    if isinstance(in_force.system, protocol):
        return in_force.system
    raise FaultError(
        f"{system_name(in_force.system)} does not support this fault: its class lacks the "
        f"methods of {protocol.__name__}"
    )
