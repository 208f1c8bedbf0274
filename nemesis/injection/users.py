"""The injector of faults whose classes the user has written."""

from __future__ import annotations

import inspect
from random import Random

from splitbrain.nemesis.fault import UserFault
from splitbrain.nemesis.injection.fault_effect import known, unknown
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import Injected, inject, require, resolve_target
from splitbrain.nemesis.user_fault import make


@inject.register
async def _user_fault(fault: UserFault, in_force: FaultsInForce, random: Random) -> Injected:
    own = make(fault)
    if (needs := getattr(own, "needs", None)) is not None:
        require(in_force, needs)
    members = await resolve_target(fault.target, in_force, random, fault.on)

    async def heal() -> None:
        healing = own.heal(in_force.system, members)
        if inspect.isawaitable(healing):
            await healing

    undo = in_force.register(heal)
    try:
        answer = own.inject(in_force.system, members)
        text = await answer if inspect.isawaitable(answer) else answer
    except BaseException:
        await undo()
        raise
    return Injected(members, (), undo, known(text) if isinstance(text, str) else unknown)
