"""Injectors of an operator's actions, which run at the same time as load and other faults.

The import of this module registers its injectors with `inject`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from random import Random

from splitbrain.nemesis.capabilities import Maintainable, Restorable, Serving, Upgradable
from splitbrain.nemesis.fault import OperatorAction, Restoration, Upgrade
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.fault_effect import known
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import (
    Injected,
    inject,
    require,
    resolve_target,
    without_effect,
)

SERVES_TIMEOUT_S = 10.0
"""How long a rolling restart waits for a restarted member before it continues."""
_POLL_S = 0.05


@inject.register
async def _operator_action(
    fault: OperatorAction, in_force: FaultsInForce, random: Random
) -> Injected:
    """Begin the operator's action in the background, so that other faults can hit it.

    The end of the fault waits for the end of the action. It does not matter whether the members
    accept the action, because it may fail due to another fault.
    """
    system: Maintainable = require(in_force, Maintainable)
    members = await resolve_target(fault.target, in_force, random, fault.on)
    if fault.do == "restart":
        action = asyncio.create_task(restart_in_turn(members, system, in_force))
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


class Upgrades:
    """Whether the members of one cluster are being upgraded, or run the other program."""

    def __init__(self, _system: Upgradable, _in_force: FaultsInForce) -> None:
        self.in_progress = False


@inject.register
async def _upgrade(fault: Upgrade, in_force: FaultsInForce, random: Random) -> Injected:
    """Begin to restart the members with the other program, in the background.

    The end of the fault waits for the last of these restarts. Then it restarts the members with the
    former program. If another upgrade is in progress, the fault has no effect, because two upgrades
    at the same time could stop a majority of the members.
    """
    system: Upgradable = require(in_force, Upgradable)
    members = await resolve_target(fault.target, in_force, random, fault.on)
    upgrades: Upgrades = in_force.part(Upgrades, system)
    if upgrades.in_progress:
        return without_effect(members)
    for member in members:
        system.use_other_program(member, other=False)  # raises if there is no other program
    upgrades.in_progress = True
    upgraded: dict[MemberName, None] = {}

    def begin(member: MemberName) -> None:
        system.use_other_program(member, other=True)
        upgraded[member] = None

    def end(member: MemberName) -> None:
        system.use_other_program(member, other=False)
        upgraded.pop(member)

    action = asyncio.create_task(restart_in_turn(members, system, in_force, begin))
    effects: list[str] = []

    async def heal() -> None:
        try:
            await asyncio.wait([action])
            effects.extend(f"upgraded {member}" for member in upgraded)
            await restart_in_turn(tuple(upgraded), system, in_force, end)
        finally:
            upgrades.in_progress = False

    return Injected(
        members, (), in_force.register(heal), lambda: ", ".join(effects), ends_with_undo=True
    )


@inject.register
async def _restoration(_: Restoration, in_force: FaultsInForce, random: Random) -> Injected:
    """Restore all members from a snapshot.

    The members stay killed meanwhile, so that no other fault starts one of them.
    """
    system: Restorable = require(in_force, Restorable)
    members = await resolve_target("all", in_force, random)
    start = await in_force.stop_members("killed", members)
    try:
        await system.restore_snapshot()
    except BaseException:
        await start()
        raise
    return Injected(members, (), start, known("restored all members from a snapshot"))


async def restart_in_turn(
    members: tuple[MemberName, ...], system: Serving, in_force: FaultsInForce,
    while_down: Callable[[MemberName], None] = lambda _: None,
) -> None:
    """Restart `members` one after the other, each when the one before it serves again.

    `while_down` is called with each member while it does not run.
    """
    for member in members:
        with contextlib.suppress(Exception):  # `release_all` restarts a member that is down
            start = await in_force.stop_members("killed", (member,))
            while_down(member)
            await start()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SERVES_TIMEOUT_S):
                    while not await system.serves(member):  # noqa: ASYNC110 - polls the member
                        await asyncio.sleep(_POLL_S)
