"""Injectors of faults that administrators cause: authentication, quotas and alarms.

Such a fault changes the replicated state, so that healing it needs a cluster that serves. Therefore
the Undo tries for `HEAL_TIMEOUT_S`. If the Undo does not succeed, it is called again at the end of
the run, when all other faults are healed.

The import of this module registers its injectors with `inject`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from splitbrain.nemesis.capabilities import Authenticates, Limitable
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import Authentication, NoSpace
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.fault_effect import known
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import Injected, inject, require, resolve_target
from splitbrain.nemesis.injection.operator_actions import restart_in_turn

HEAL_TIMEOUT_S = 20.0
_RETRY_S = 0.2


@inject.register
async def _authentication(
    fault: Authentication, in_force: FaultsInForce, random: Random
) -> Injected:
    system: Authenticates = require(in_force, Authenticates)
    chosen = await resolve_target(fault.target, in_force, random, fault.on)
    changing: list[asyncio.Task[None]] = []

    async def heal() -> None:
        await _cancel(changing)
        await _at_any(in_force.system.members, system.disable_authentication)

    undo = in_force.register(heal)
    await system.enable_authentication(chosen[0])
    if fault.changes:
        changing.append(asyncio.create_task(_change_users(system, in_force.system.members)))
    return Injected(chosen, (), undo, known("enabled authentication"))


async def _change_users(system: Authenticates, members: Sequence[MemberName]) -> None:
    """Change users, roles and permissions by requests to one member after the other.

    Never returns. The end of the fault cancels the task.
    """
    for number, member in enumerate(itertools.cycle(members)):
        with contextlib.suppress(FaultError):  # another fault may hit the member
            await system.change_users(member, number)
        await asyncio.sleep(0)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


@inject.register
async def _no_space(fault: NoSpace, in_force: FaultsInForce, random: Random) -> Injected:
    system: Limitable = require(in_force, Limitable)
    members = await resolve_target(fault.target, in_force, random, fault.on)
    action: list[asyncio.Task[None]] = []
    limited: dict[MemberName, None] = {}

    async def heal() -> None:
        if action:
            await asyncio.wait(action)

        def restore(member: MemberName) -> None:
            system.restore_quota(member)
            limited.pop(member)

        await restart_in_turn(tuple(limited), system, in_force, restore)
        await _at_any(in_force.system.members, system.clear_alarms)

    undo = in_force.register(heal)
    if fault.do == "alarm":
        await system.raise_alarm(members[0])
        return Injected(members[:1], (), undo, known("raised the alarm NOSPACE"))
    for member in members:
        with contextlib.suppress(FaultError):  # another fault may hit the member
            await system.use_up_quota(member)
            limited[member] = None
    action.append(asyncio.create_task(restart_in_turn(tuple(limited), system, in_force)))
    effect = known(", ".join(f"used up the quota of {member}" for member in limited))
    return Injected(members, (), undo, effect)


async def _at_any(
    members: Sequence[MemberName], request: Callable[[MemberName], Awaitable[None]]
) -> None:
    """Send `request` to one member after the other until one member has executed it.

    Raises the last FaultError if no member has executed it within `HEAL_TIMEOUT_S`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + HEAL_TIMEOUT_S
    for member in itertools.cycle(members):
        try:
            await request(member)
            break
        except FaultError:
            if loop.time() > deadline:
                raise
        await asyncio.sleep(_RETRY_S)
