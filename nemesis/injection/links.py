"""Injectors of faults of links that change single packets and connections.

The import of this module registers its injectors with `inject`.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from splitbrain.nemesis.capabilities import FaultyLinks, LinkState
from splitbrain.nemesis.fault import Corruption, HalfOpen, PacketLoss, SlowReceiver
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.fault_effect import on_links
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import (
    Injected,
    Targeted,
    inject,
    require,
    resolve_target,
)
from splitbrain.nemesis.partition_shapes import Link, links_touching

SLOW_BUFFER_BYTES = 4 * 1024
"""The number of bytes that the buffers of a slow receiver hold for each sender."""


@inject.register
async def _loss(fault: PacketLoss, in_force: FaultsInForce, random: Random) -> Injected:
    state = LinkState(lost_percent=fault.percent)
    return await _both_ways(fault, state, in_force, random, "lost and sent again")


@inject.register
async def _corruption(fault: Corruption, in_force: FaultsInForce, random: Random) -> Injected:
    state = LinkState(corrupt_percent=fault.percent)
    return await _both_ways(fault, state, in_force, random, "falsified")


@inject.register
async def _half_open(fault: HalfOpen, in_force: FaultsInForce, random: Random) -> Injected:
    members = await resolve_target(fault.target, in_force, random, fault.on)
    links = tuple((a, b) for a in members for b in in_force.system.members if a != b)
    return await _with_state(
        members, links, LinkState(half_open=True), in_force, "lost at one end, or sent to nobody"
    )


@inject.register
async def _slow_receiver(fault: SlowReceiver, in_force: FaultsInForce, random: Random) -> Injected:
    members = await resolve_target(fault.target, in_force, random, fault.on)
    links = tuple((a, b) for b in members for a in in_force.system.members if a != b)
    state = LinkState(
        rate_bytes_per_s=fault.rate_bytes_per_s, buffer_bytes_max=SLOW_BUFFER_BYTES
    )
    return await _with_state(members, links, state, in_force, "delayed")


async def _both_ways(
    fault: Targeted, state: LinkState, in_force: FaultsInForce, random: Random, changed: str
) -> Injected:
    members = await resolve_target(fault.target, in_force, random, fault.on)
    links = links_touching(in_force.system.members, members)
    return await _with_state(members, links, state, in_force, changed)


async def _with_state(
    members: tuple[MemberName, ...], links: Sequence[Link], state: LinkState,
    in_force: FaultsInForce, changed: str,
) -> Injected:
    require(in_force, FaultyLinks)
    effect = on_links(links, in_force, changed)
    undo = await in_force.set_links(dict.fromkeys(links, state))
    return Injected(members, tuple(links), undo, effect)
