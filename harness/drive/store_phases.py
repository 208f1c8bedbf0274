"""Drives one run of a store that is tested through a client of the user.

The phases are those of `run_phases.py`, without the writes through each member and without the
members' states: set-up, load, heal, quiet, final reads.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Iterator
from typing import Any, cast

from splitbrain.harness.clients.any_store.opened_client import open_client
from splitbrain.harness.clients.any_store.store_client import Invocation
from splitbrain.harness.clients.any_store.store_clients import MakeClient, StoreClients
from splitbrain.harness.drive.client_log import client_log
from splitbrain.harness.drive.final_phase import FINAL_PAUSE_S, FINAL_READS_LIMIT_S, POLL_S
from splitbrain.harness.drive.load import Load
from splitbrain.harness.drive.progress import Progress
from splitbrain.harness.drive.run_phases import FINAL_TIMEOUT_MS, Drive
from splitbrain.harness.drive.sessions import Sessions
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.systems.system import HasHealth, System
from splitbrain.harness.workloads.any_store.store_workload import StoreWorkload
from splitbrain.harness.workloads.workload import Draft, Workload

SETUP_TIMEOUT_S = 30.0
DRAIN_CALLS_MAX = 1_000_000


class StoreDrive(Drive):
    """One run with a client of the user. `make_client` creates a client for each connection."""

    def __init__(
        self, *, schedule: Schedule, workload: StoreWorkload, system: System, folder: RunFolder,
        progress: Progress, make_client: MakeClient,
    ) -> None:
        super().__init__(
            schedule=schedule, workload=cast("Workload", workload), system=system, folder=folder,
            progress=progress,
        )
        self._store_workload = workload
        self._make_client = make_client

    async def _run_phases(self) -> None:
        with client_log(self._folder.client_log):
            await self._run_store_phases()

    async def _run_store_phases(self) -> None:
        await self._set_up()
        sessions = self._store_sessions(self._schedule.options.request_timeout_ms)
        try:
            await self._load_phase(lambda: Load(
                schedule=self._schedule, sessions=sessions, leader=self._leader,
                triggers=self._nemesis.triggers,
            ))
        finally:
            await sessions.close_all()
        await self._heal()
        await self._end_of_run()

    async def _set_up(self) -> None:
        await super()._set_up()
        value = getattr(self._store_workload, "setup", None)
        await set_up_store(self._make_client, self._system, value)

    def _store_sessions(self, timeout_ms: int) -> Sessions:
        """Return sessions in which each process of the history has a separate connection."""
        keyed = bool(getattr(self._store_workload, "keyed", False))
        clients = StoreClients(self._make_client, timeout_ms, keyed=keyed)
        return Sessions(
            system=self._system, clients=clients, recorder=self._recorder, one_member=True
        )

    async def _end_of_run(self) -> None:
        self._notice_crashes()
        with self._phase("quiet"):
            self._agreed = await self._wait_until_healthy()
        begun = self._load.counts.begun if self._load else 0
        processes = itertools.count(len(self._schedule.clients) * (begun + 1))
        sessions = self._store_sessions(FINAL_TIMEOUT_MS)
        clients = max(len(self._schedule.clients), self._schedule.options.clients)
        try:
            with self._phase("final reads"):
                deadline = asyncio.get_running_loop().time() + FINAL_READS_LIMIT_S
                for draft in self._store_workload.final_operations(clients):
                    await self._final(sessions, processes, draft, deadline)
        finally:
            await sessions.close_all()

    async def _wait_until_healthy(self) -> bool:
        """Wait until each running member is healthy. Returns False after the time limit.

        Returns True at once if the system has no method `healthy`.
        """
        if not isinstance(self._system, HasHealth):
            return True
        loop = asyncio.get_running_loop()
        timeout_ms = self._schedule.options.quiet_timeout_ms
        deadline = loop.time() + timeout_ms / 1000
        while True:
            running = self._running()
            healthy = [await is_healthy(self._system, member) for member in running]
            if all(healthy):
                return True
            if loop.time() >= deadline:
                sick = [one for one, well in zip(running, healthy, strict=True) if not well]
                self._progress.say(
                    f"{', '.join(sick)} did not become healthy within {timeout_ms} ms after all "
                    "faults were healed"
                )
                return False
            await asyncio.sleep(POLL_S)

    async def _final(
        self, sessions: Sessions, processes: Iterator[int], draft: Draft, deadline: float
    ) -> None:
        """Send the operation `draft` to every running member, again and again until one succeeds.

        Gives up at `deadline`. If the operation's function is the workload's `drain`, it is called
        at each member until it returns None or fails.
        """
        drains = draft.f == getattr(self._store_workload, "drain", None)
        succeeded = False
        while not succeeded:
            for member in self._running():
                process = next(processes)
                for _ in range(DRAIN_CALLS_MAX if drains else 1):
                    completion = await sessions.invoke(process, draft.f, draft.request, member)
                    succeeded = succeeded or completion.outcome == "ok"
                    if completion.outcome != "ok" or completion.result is None:
                        break
                await sessions.close(process)
            if asyncio.get_running_loop().time() >= deadline:
                return
            if not succeeded:
                await asyncio.sleep(FINAL_PAUSE_S)


async def is_healthy(system: HasHealth, member: str) -> bool:
    """Return whether `member` is healthy.

    If the check raises an error, the member is not healthy.
    """
    try:
        answer = system.healthy(member)
        return bool(await answer if inspect.isawaitable(answer) else answer)
    except Exception:
        return False


async def set_up_store(make_client: MakeClient, system: System, value: Any) -> None:
    """Call the client's method `setup`, if it has one.

    The members are tried in order until a call succeeds. Raises SystemFailed if all calls fail.
    """
    kind = getattr(make_client, "func", make_client)
    if not callable(getattr(kind, "setup", None)):
        return
    problems = []
    for member in system.members:
        try:
            opened = await open_client(make_client, system.address(member), SETUP_TIMEOUT_S)
            try:
                await opened.invoke(Invocation("setup", value))
            finally:
                await opened.close()
        except Exception as problem:
            problems.append(f"at {member}: {type(problem).__name__}: {problem}")
        else:
            return
    raise SystemFailed(f"the client's setup failed: {'; '.join(problems)}")
