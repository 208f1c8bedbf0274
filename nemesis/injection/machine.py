"""Injectors of the faults that only a simulated machine supports: power, clocks, disks.

The import of this module registers its injectors with `inject`. The module re-exports `inject`, so
that code which imports `inject` from here can inject these faults too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from splitbrain.nemesis.capabilities import Clocked, Corruptible, Disked, DiskState, Powered
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import (
    BitRot,
    ClockDrift,
    ClockJump,
    DiskFault,
    LostSectors,
    MemberName,
    PowerLoss,
)
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce, system_name
from splitbrain.nemesis.injection.inject import Injected, inject, resolve_target

__all__ = ["inject"]

OnMember = Callable[[MemberName], Awaitable[object]]


@inject.register
async def _power_loss(fault: PowerLoss, in_force: FaultsInForce, random: Random) -> Injected:
    members = await resolve_target(fault.target, in_force, random, fault.on)
    await _require(in_force, Powered).lose_power(members)
    # A machine without power must not run, even if another fault of the member heals meanwhile.
    return Injected(members, (), await in_force.stop_members("killed", members))


@inject.register
async def _clock_jump(fault: ClockJump, in_force: FaultsInForce, random: Random) -> Injected:
    system = _require(in_force, Clocked)
    return await _inject_on_each(
        fault, in_force, random,
        lambda member: system.jump_clock(member, fault.ahead_ms),
        lambda member: system.jump_clock(member, -fault.ahead_ms),
    )


@inject.register
async def _clock_drift(fault: ClockDrift, in_force: FaultsInForce, random: Random) -> Injected:
    system = _require(in_force, Clocked)
    return await _inject_on_each(
        fault, in_force, random,
        lambda member: system.drift_clock(member, fault.ppm),
        lambda member: system.drift_clock(member, 0),
    )


@inject.register
async def _disk_fault(fault: DiskFault, in_force: FaultsInForce, random: Random) -> Injected:
    system = _require(in_force, Disked)
    state = DiskState(
        slow_ms=fault.slow_ms,
        full=fault.full,
        write_error_percent=fault.write_error_percent,
        sync_error_percent=fault.sync_error_percent,
        lying=fault.lying,
        misdirect_percent=fault.misdirect_percent,
        torn_percent=fault.torn_percent,
        area=fault.area,
    )
    members = await resolve_target(fault.target, in_force, random, fault.on)
    token = in_force.disks.add(state, members)

    async def heal() -> None:
        in_force.disks.remove(token)
        for member in members:
            await system.set_disk(member, in_force.disks.effective(member))
            if not in_force.is_killed(member):
                await system.revive(member)

    undo = in_force.register(heal)
    for member in members:
        await system.set_disk(member, in_force.disks.effective(member))
    return Injected(members, (), undo)


@inject.register
async def _bit_rot(fault: BitRot, in_force: FaultsInForce, random: Random) -> Injected:
    system = _require(in_force, Corruptible)
    return await _inject_on_each(
        fault, in_force, random,
        lambda member: system.rot(member, fault.area, fault.bits), _heal_nothing,
    )


@inject.register
async def _lost_sectors(fault: LostSectors, in_force: FaultsInForce, random: Random) -> Injected:
    system = _require(in_force, Corruptible)
    return await _inject_on_each(
        fault, in_force, random,
        lambda member: system.lose_sectors(member, fault.area, fault.sectors), _heal_nothing,
    )


async def _heal_nothing(_: MemberName) -> None:
    return


async def _inject_on_each(
    fault: ClockJump | ClockDrift | BitRot | LostSectors,
    in_force: FaultsInForce,
    random: Random,
    inject_on: OnMember,
    heal: OnMember,
) -> Injected:
    members = await resolve_target(fault.target, in_force, random, fault.on)

    async def heal_all() -> None:
        for member in members:
            await heal(member)

    undo = in_force.register(heal_all)
    for member in members:
        await inject_on(member)
    return Injected(members, (), undo)


def _require(in_force: FaultsInForce, protocol: type) -> Any:
    if isinstance(in_force.system, protocol):
        return in_force.system
    raise FaultError(
        f"{system_name(in_force.system)} does not support this fault: its class lacks the "
        f"methods of {protocol.__name__}"
    )
