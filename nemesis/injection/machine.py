"""The hands for what only a simulated machine suffers: power, clocks, disks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from splitbrain.nemesis.capabilities import HEALTHY, Clocked, Disked, DiskState, Powered
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import BitRot, ClockDrift, ClockJump, DiskFault, MemberName, PowerLoss
from splitbrain.nemesis.injection.faults_in_force import Grip
from splitbrain.nemesis.injection.inject import Inflicted, aimed_at, begin

__all__ = ["begin"]

ToOne = Callable[[MemberName], Awaitable[object]]


@begin.register
async def _power_loss(fault: PowerLoss, grip: Grip, random: Random) -> Inflicted:
    members = await aimed_at(fault.aim, grip, random, fault.on)
    await _able(grip, Powered).lose_power(members)
    # What has no power does not run, whatever else heals meanwhile.
    return Inflicted(members, (), await grip.hold("killed", members))


@begin.register
async def _clock_jump(fault: ClockJump, grip: Grip, random: Random) -> Inflicted:
    system = _able(grip, Clocked)
    return await _on_each(
        fault, grip, random,
        lambda member: system.jump_clock(member, fault.ahead_ms),
        lambda member: system.jump_clock(member, -fault.ahead_ms),
    )


@begin.register
async def _clock_drift(fault: ClockDrift, grip: Grip, random: Random) -> Inflicted:
    system = _able(grip, Clocked)
    return await _on_each(
        fault, grip, random,
        lambda member: system.drift_clock(member, fault.ppm),
        lambda member: system.drift_clock(member, 0),
    )


@begin.register
async def _disk_fault(fault: DiskFault, grip: Grip, random: Random) -> Inflicted:
    system = _able(grip, Disked)
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
        if not grip.is_down(member):
            await system.revive(member)

    return await _on_each(
        fault, grip, random, lambda member: system.set_disk(member, state), heal
    )


@begin.register
async def _bit_rot(fault: BitRot, grip: Grip, random: Random) -> Inflicted:
    system = _able(grip, Disked)

    async def nothing(_: MemberName) -> None:
        return

    return await _on_each(fault, grip, random, system.rot, nothing)


async def _on_each(
    fault: ClockJump | ClockDrift | DiskFault | BitRot,
    grip: Grip,
    random: Random,
    inflict: ToOne,
    heal: ToOne,
) -> Inflicted:
    members = await aimed_at(fault.aim, grip, random, fault.on)

    async def heal_all() -> None:
        for member in members:
            await heal(member)

    undo = grip.keep(heal_all)
    for member in members:
        await inflict(member)
    return Inflicted(members, (), undo)


def _able(grip: Grip, protocol: type) -> Any:
    if isinstance(grip.system, protocol):
        return grip.system
    raise FaultError(
        f"{getattr(grip.system, 'name', type(grip.system).__name__)} cannot suffer this: "
        f"it is not {protocol.__name__}"
    )
