"""The hands for what only a simulated machine suffers: power, clocks, disks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from splitbrain.nemesis.capabilities import HEALTHY, Clocked, Disked, DiskState, Powered
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import BitRot, ClockDrift, ClockJump, DiskFault, MemberName, PowerLoss
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import Injected, inject, targeted_members

__all__ = ["inject"]

ToOne = Callable[[MemberName], Awaitable[object]]


@inject.register
async def _power_loss(fault: PowerLoss, in_force: FaultsInForce, random: Random) -> Injected:
    members = await targeted_members(fault.target, in_force, random, fault.on)
    await _able(in_force, Powered).lose_power(members)
    # What has no power does not run, whatever else heals meanwhile.
    return Injected(members, (), await in_force.hold("killed", members))


@inject.register
async def _clock_jump(fault: ClockJump, in_force: FaultsInForce, random: Random) -> Injected:
    system = _able(in_force, Clocked)
    return await _on_each(
        fault, in_force, random,
        lambda member: system.jump_clock(member, fault.ahead_ms),
        lambda member: system.jump_clock(member, -fault.ahead_ms),
    )


@inject.register
async def _clock_drift(fault: ClockDrift, in_force: FaultsInForce, random: Random) -> Injected:
    system = _able(in_force, Clocked)
    return await _on_each(
        fault, in_force, random,
        lambda member: system.drift_clock(member, fault.ppm),
        lambda member: system.drift_clock(member, 0),
    )


@inject.register
async def _disk_fault(fault: DiskFault, in_force: FaultsInForce, random: Random) -> Injected:
    system = _able(in_force, Disked)
    state = DiskState(
        slow_ms=fault.slow_ms,
        full=fault.full,
        write_error_percent=fault.write_error_percent,
        sync_error_percent=fault.sync_error_percent,
        lying=fault.lying,
        misdirect_percent=fault.misdirect_percent,
    )

    async def heal(member: MemberName) -> None:
        await system.set_disk(member, HEALTHY)
        if not in_force.is_down(member):
            await system.revive(member)

    return await _on_each(
        fault, in_force, random, lambda member: system.set_disk(member, state), heal
    )


@inject.register
async def _bit_rot(fault: BitRot, in_force: FaultsInForce, random: Random) -> Injected:
    system = _able(in_force, Disked)

    async def nothing(_: MemberName) -> None:
        return

    return await _on_each(fault, in_force, random, system.rot, nothing)


async def _on_each(
    fault: ClockJump | ClockDrift | DiskFault | BitRot,
    in_force: FaultsInForce,
    random: Random,
    inflict: ToOne,
    heal: ToOne,
) -> Injected:
    members = await targeted_members(fault.target, in_force, random, fault.on)

    async def heal_all() -> None:
        for member in members:
            await heal(member)

    undo = in_force.keep(heal_all)
    for member in members:
        await inflict(member)
    return Injected(members, (), undo)


def _able(in_force: FaultsInForce, protocol: type) -> Any:
    if isinstance(in_force.system, protocol):
        return in_force.system
    raise FaultError(
        f"{getattr(in_force.system, 'name', type(in_force.system).__name__)} cannot suffer this: "
        f"it is not {protocol.__name__}"
    )
