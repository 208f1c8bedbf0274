"""The injector of leadership transfers, which run at the same time as load and other faults.

The import of this module registers its injector with `inject`.
"""

from __future__ import annotations

import asyncio
from random import Random

from splitbrain.nemesis.capabilities import Transferable
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import LeaderTransfer
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import Injected, inject, require, resolve_target


@inject.register
async def _leader_transfer(
    fault: LeaderTransfer, in_force: FaultsInForce, random: Random
) -> Injected:
    """Begin the transfers in the background.

    The end of the fault cancels the transfers that have not ended.
    """
    system: Transferable = require(in_force, Transferable)
    members = await resolve_target(fault.target, in_force, random, fault.on)
    led: list[MemberName] = []

    async def transfer() -> None:
        for member in members:
            try:
                await system.transfer_leadership(member)
            except FaultError:
                continue
            led.append(member)

    task = asyncio.create_task(transfer())

    async def heal() -> None:
        task.cancel()
        await asyncio.wait([task])

    def effect() -> str:
        return ", ".join(f"moved the leadership to {one}" for one in led)

    return Injected(members, (), in_force.register(heal), effect)
