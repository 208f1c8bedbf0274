"""Injectors of faults of power and disks, for simulated machines and for mounted disks.

The import of this module registers its injectors with `inject`. The module re-exports `inject`, so
that code which imports `inject` from here can inject these faults too.
"""

from __future__ import annotations

from random import Random

from splitbrain.nemesis.capabilities import Corruptible, Disked, Powered
from splitbrain.nemesis.disk_fault import BitRot, DiskFault, DiskState, LostSectors
from splitbrain.nemesis.fault import PowerLoss
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.fault_effect import known, on_disks, running, unknown
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import (
    Injected,
    inject,
    inject_on_each,
    require,
    resolve_target,
)

__all__ = ["inject"]


@inject.register
async def _power_loss(fault: PowerLoss, in_force: FaultsInForce, random: Random) -> Injected:
    members = await resolve_target(fault.target, in_force, random, fault.on)
    ran = ", ".join(f"cut the power of {one}" for one in running(members, in_force))
    # A machine whose member does not run can still lose what the member had not synced.
    effect = known(ran) if ran else unknown
    await require(in_force, Powered).lose_power(members)
    # A machine without power must not run a member, even if another fault of the member is healed
    # meanwhile.
    return Injected(members, (), await in_force.stop_members("killed", members), effect)


@inject.register
async def _disk_fault(fault: DiskFault, in_force: FaultsInForce, random: Random) -> Injected:
    system = require(in_force, Disked)
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
    effect = on_disks(members, in_force)
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
    return Injected(members, (), undo, effect)


@inject.register
async def _bit_rot(fault: BitRot, in_force: FaultsInForce, random: Random) -> Injected:
    system = require(in_force, Corruptible)
    return await inject_on_each(
        fault, in_force, random,
        lambda member: system.rot(member, fault.area, fault.bits), _heal_nothing,
    )


@inject.register
async def _lost_sectors(fault: LostSectors, in_force: FaultsInForce, random: Random) -> Injected:
    system = require(in_force, Corruptible)
    return await inject_on_each(
        fault, in_force, random,
        lambda member: system.lose_sectors(member, fault.area, fault.sectors), _heal_nothing,
    )


async def _heal_nothing(_: MemberName) -> None:
    return
