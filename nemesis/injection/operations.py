"""The injector of an operator's actions, which run at the same time as load and other faults.

The import of this module registers its injector with `inject`.
"""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

from splitbrain.nemesis.capabilities import Maintainable
from splitbrain.nemesis.fault import MemberName, OperatorAction
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import Injected, inject, require, resolve_target

SERVES_TIMEOUT_S = 10.0
"""How long a rolling restart waits for a restarted member before it continues."""
_POLL_S = 0.05


@inject.register
async def _operator_action(
    fault: OperatorAction, in_force: FaultsInForce, random: Random
) -> Injected:
    """Begin the action in the background, so that other faults can hit it. The Undo waits for it.

    The members' answers do not matter: an action may fail because of another fault.
    """
    system: Maintainable = require(in_force, Maintainable)
    members = await resolve_target(fault.target, in_force, random, fault.on)
    if fault.do == "restart":
        action = asyncio.create_task(_restart_in_turn(members, system, in_force))
    else:
        action = asyncio.create_task(_maintain(members, fault, system))

    async def heal() -> None:
        await asyncio.wait([action])

    return Injected(members, (), in_force.register(heal))


async def _maintain(
    members: tuple[MemberName, ...], fault: OperatorAction, system: Maintainable
) -> None:
    for member in members:
        with contextlib.suppress(Exception):  # a member may refuse the action
            await system.maintain(member, fault.do)


async def _restart_in_turn(
    members: tuple[MemberName, ...], system: Maintainable, in_force: FaultsInForce
) -> None:
    """Restart one member after the other, each when the one before it serves again."""
    for member in members:
        with contextlib.suppress(Exception):  # `release_all` restarts a member that is down
            start = await in_force.stop_members("killed", (member,))
            await start()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SERVES_TIMEOUT_S):
                    while not await system.serves(member):  # noqa: ASYNC110 - polls the member
                        await asyncio.sleep(_POLL_S)
