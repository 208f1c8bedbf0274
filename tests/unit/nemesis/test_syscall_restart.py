"""A fault of system calls leaves no strace on a member that restarts while the fault ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from splitbrain.nemesis.disk_fault import DiskArea
from splitbrain.nemesis.fault import SyscallFault
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.syscalls import TracedMember
from splitbrain.nemesis.linux.held_call import HeldCall
from splitbrain.nemesis.linux.strace import Calls


class System:
    """A system whose member n1 runs if `running` is set."""

    name = "a system"
    members = ("n1",)

    def __init__(self) -> None:
        self.running = False

    def pid(self, member: str) -> int | None:
        return 1234 if self.running else None

    def files(self, member: str, area: DiskArea, pattern: str = "") -> Sequence[Path]:
        return (Path("wal"),)

    async def leader(self) -> str | None:
        return "n1"


class Held:
    """strace on a process, without a process."""

    def __init__(self, attached: list[Held]) -> None:
        self._attached = attached
        attached.append(self)

    async def release(self) -> None:
        self._attached.remove(self)


class Attaching:
    """Attaches strace only after `may_attach` is set."""

    def __init__(self) -> None:
        self.may_attach = asyncio.Event()
        self.begun = asyncio.Event()
        self.attached: list[Held] = []

    async def arm(
        self, pid: int, calls: Calls, may_resume: Callable[[], bool], inject: str
    ) -> Held:
        self.begun.set()
        await self.may_attach.wait()
        return Held(self.attached)


@pytest.fixture
def system() -> System:
    return System()


def traced(system: System) -> TracedMember:
    fault = SyscallFault("any", call="write", do="error", error="ENOSPC")
    return TracedMember(fault, "n1", system, FaultsInForce(system))


def test_strace_that_attaches_while_the_fault_ends_is_detached(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def restart_during_the_end() -> list[Held]:
        attaching = Attaching()
        monkeypatch.setattr(HeldCall, "arm", attaching.arm)
        one = traced(system)
        await one.begin()
        assert not attaching.begun.is_set(), "the member does not run yet"
        system.running = True
        restarted = asyncio.create_task(one.after_restart("n1"))
        await attaching.begun.wait()
        ended = asyncio.create_task(one.end())
        await asyncio.sleep(0)
        attaching.may_attach.set()
        await asyncio.gather(restarted, ended)
        return attaching.attached

    assert asyncio.run(restart_during_the_end()) == []


def test_strace_follows_the_member_to_its_new_process_until_the_fault_ends(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count_attached() -> list[int]:
        attaching = Attaching()
        attaching.may_attach.set()
        monkeypatch.setattr(HeldCall, "arm", attaching.arm)
        one = traced(system)
        system.running = True
        counts = []
        for step in (one.begin(), one.after_restart("n1"), one.end(), one.after_restart("n1")):
            await step
            counts.append(len(attaching.attached))
        return counts

    assert asyncio.run(count_attached()) == [1, 1, 0, 0]
