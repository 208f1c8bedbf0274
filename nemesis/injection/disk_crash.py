"""The injector of crashes at an exact operation of a member's disk.

The import of this module registers its injector with `inject`.
"""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

from msgspec.structs import replace

from splitbrain.nemesis.capabilities import CrashesAtDiskCalls
from splitbrain.nemesis.disk_fault import DiskCrash
from splitbrain.nemesis.injection.fault_effect import known
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.first_member import first_member
from splitbrain.nemesis.injection.inject import Injected, inject, require, resolve_target

DOWN_S = 0.05
"""The time from a crash to the restart that is interrupted again."""
AGAIN_S_MAX = 1.0
"""The time after which a member that has restarted is no longer expected to crash again."""


@inject.register
async def _disk_crash(fault: DiskCrash, in_force: FaultsInForce, random: Random) -> Injected:
    system: CrashesAtDiskCalls = require(in_force, CrashesAtDiskCalls)
    members = await resolve_target(fault.target, in_force, random, fault.on)
    member = await first_member(members, lambda one: system.crash_at_disk_call(one, fault))
    undo = await in_force.stop_members("killed", (member,))
    crashes = 1
    for nth in fault.again:
        await asyncio.sleep(DOWN_S)
        waits = asyncio.ensure_future(
            system.crash_at_disk_call(member, replace(fault, call="", area="", nth=nth))
        )
        await asyncio.sleep(0)  # The task begins to wait before the member restarts.
        try:
            await undo()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S_MAX):
                    await waits
                    crashes += 1
        finally:
            waits.cancel()
        undo = await in_force.stop_members("killed", (member,))
    where = f"{fault.edge} {fault.call or 'operation'} {fault.nth}"
    where += f" in the area {fault.area}" if fault.area else " of its disk"
    return Injected(
        (member,), (), undo, known(f"{member} crashed {where}, {crashes} times in all")
    )
