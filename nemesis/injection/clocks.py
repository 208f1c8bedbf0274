"""Injectors of faults of clocks, into simulated machines and into real processes.

The import of this module registers its injectors with `inject`.
"""

from __future__ import annotations

from random import Random

from splitbrain.nemesis.capabilities import Clocked, HasProcess
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import ClockDrift, ClockJump
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce, system_name
from splitbrain.nemesis.injection.inject import Injected, inject, inject_on_each
from splitbrain.nemesis.injection.process_clocks import ProcessClocks


@inject.register
async def _clock_jump(fault: ClockJump, in_force: FaultsInForce, random: Random) -> Injected:
    system = in_force.system
    jump = system.jump_clock if isinstance(system, Clocked) else _process_clocks(in_force).jump
    return await inject_on_each(
        fault, in_force, random,
        lambda member: jump(member, fault.ahead_ms),
        lambda member: jump(member, -fault.ahead_ms),
    )


@inject.register
async def _clock_drift(fault: ClockDrift, in_force: FaultsInForce, random: Random) -> Injected:
    system = in_force.system
    if isinstance(system, Clocked):
        return await inject_on_each(
            fault, in_force, random,
            lambda member: system.drift_clock(member, fault.ppm),
            lambda member: system.drift_clock(member, 0),
        )
    clocks = _process_clocks(in_force)

    async def heal(member: MemberName) -> None:
        await clocks.drift(member, -fault.ppm)

    return await inject_on_each(
        fault, in_force, random, lambda member: clocks.drift(member, fault.ppm), heal
    )


def _process_clocks(in_force: FaultsInForce) -> ProcessClocks:
    if not isinstance(in_force.system, HasProcess):
        raise FaultError(
            f"{system_name(in_force.system)} does not support this fault: its class lacks the "
            "methods of Clocked, and the method `pid` of HasProcess"
        )
    return in_force.part(ProcessClocks, in_force.system)
