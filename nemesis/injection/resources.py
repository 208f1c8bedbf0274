"""Injectors of faults that take resources from members: CPU time, memory, files, their log.

The import of this module registers its injectors with `inject`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random

from splitbrain.nemesis.capabilities import HasProcess, Killable, LogBlockable
from splitbrain.nemesis.fault import BlockedLog, CpuStarvation, FewFiles, LittleMemory
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import Injected, Targeted, inject, require, resolve_target
from splitbrain.nemesis.linux.limits import (
    FILES,
    MEMORY,
    LimitsInForce,
    files_limit,
    memory_bytes,
)
from splitbrain.nemesis.linux.undo_journal import StoppedProcess, identity

PERIOD_S = 0.1
"""The length of a period, in which a starved member is stopped once and continued once."""


@inject.register
async def _cpu_starvation(
    fault: CpuStarvation, in_force: FaultsInForce, random: Random
) -> Injected:
    system: HasProcess = require(in_force, HasProcess)
    members = await resolve_target(fault.target, in_force, random, fault.on)
    tasks = [
        asyncio.create_task(_starve(member, fault.percent / 100, system, in_force))
        for member in members
    ]

    async def heal() -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    return Injected(members, (), in_force.register(heal))


async def _starve(
    member: MemberName, share: float, system: HasProcess, in_force: FaultsInForce
) -> None:
    """Stop the member's process for a part of each period, until this task is cancelled."""
    while True:
        pid = system.pid(member)
        if pid is None or in_force.is_paused(member):
            await asyncio.sleep(PERIOD_S)
            continue
        with contextlib.suppress(ProcessLookupError):
            number = in_force.journal.note(StoppedProcess(identity(pid)))
            try:
                os.kill(pid, signal.SIGSTOP)
                await asyncio.sleep(PERIOD_S * (1 - share))
            finally:
                if not in_force.is_paused(member):
                    os.kill(pid, signal.SIGCONT)
                in_force.journal.settle(number)
        await asyncio.sleep(PERIOD_S * share)


@inject.register
async def _blocked_log(fault: BlockedLog, in_force: FaultsInForce, random: Random) -> Injected:
    system: LogBlockable = require(in_force, LogBlockable)
    members = await resolve_target(fault.target, in_force, random, fault.on)
    blocked = in_force.part(BlockedLogs, system)

    async def heal() -> None:
        blocked.remove(members)

    undo = in_force.register(heal)
    blocked.add(members)
    return Injected(members, (), undo, lambda: blocked.effect(members))


class BlockedLogs:
    """The pipes of members' logs that faults have blocked, with the number of faults for each."""

    def __init__(self, system: LogBlockable, _: FaultsInForce) -> None:
        self._system = system
        self._counts: Counter[MemberName] = Counter()

    def add(self, members: tuple[MemberName, ...]) -> None:
        """Block the logs of `members` that no earlier fault has blocked."""
        for member in members:
            self._counts[member] += 1
            self._system.block_log(member)

    def remove(self, members: tuple[MemberName, ...]) -> None:
        """Unblock those logs of `members` that no other fault still blocks."""
        for member in members:
            self._counts[member] -= 1
            if not self._counts[member]:
                self._system.unblock_log(member)

    def effect(self, members: tuple[MemberName, ...]) -> str:
        """Return a text that names the members that wait because their log is blocked, or ""."""
        waiting = filter(self._system.waits_for_log, members)
        return ", ".join(f"{member} waited for its log" for member in waiting)


@inject.register
async def _few_files(fault: FewFiles, in_force: FaultsInForce, random: Random) -> Injected:
    return await _limit_members(
        fault, in_force, random, FILES, lambda pid: files_limit(pid, fault.spare)
    )


@inject.register
async def _little_memory(fault: LittleMemory, in_force: FaultsInForce, random: Random) -> Injected:
    return await _limit_members(
        fault, in_force, random, MEMORY, lambda pid: memory_bytes(pid) + fault.spare_bytes
    )


class MemberLimits(LimitsInForce):
    """The limits of the members' processes of one cluster."""

    def __init__(self, _system: HasProcess, in_force: FaultsInForce) -> None:
        super().__init__(in_force.journal)


async def _limit_members(
    fault: Targeted,
    in_force: FaultsInForce,
    random: Random,
    kind: int,
    value_of: Callable[[int], int],
) -> Injected:
    """Set a resource limit of the processes that the fault hits.

    `kind` is a number such as `RLIMIT_NOFILE`. `value_of` computes the limit from the process id.
    The end of the fault sets the old limits, and restarts members that have ended.
    """
    system: HasProcess = require(in_force, HasProcess)
    members = await resolve_target(fault.target, in_force, random, fault.on)
    limits: MemberLimits = in_force.part(MemberLimits, system)
    removals: list[Callable[[], None]] = []

    async def heal() -> None:
        for remove in removals:
            remove()
        for member in members:
            await _restart_if_ended(member, system, in_force)

    undo: Callable[[], Awaitable[None]] = in_force.register(heal)
    try:
        for member in members:
            if (pid := system.pid(member)) is not None:
                removals.append(limits.add(pid, kind, value_of(pid)))
    except BaseException:
        await undo()
        raise
    return Injected(members, (), undo)


async def _restart_if_ended(
    member: MemberName, system: HasProcess, in_force: FaultsInForce
) -> None:
    """Restart the member if it has ended because a resource was missing, as a supervisor does."""
    ended = system.pid(member) is None and not in_force.is_killed(member)
    if ended and isinstance(in_force.system, Killable):
        await in_force.system.restart(member)
