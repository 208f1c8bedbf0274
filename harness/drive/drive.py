"""Drives one run: set-up, load under faults, heal, quiet, final reads, the members' states.

It leaves a folder to judge, whatever happens on the way: a failure of the harness or
of the system ends the run early, with the history as far as it was observed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from splitbrain.harness.clients.json_client import open_clients
from splitbrain.harness.drive.final_phase import (
    FINAL_READS_LIMIT_DISAGREED_S,
    FINAL_READS_LIMIT_S,
    final_reads,
    gather_states,
    wait_quiet,
)
from splitbrain.harness.drive.load import Client, LeaderWatch, Load
from splitbrain.harness.drive.progress import Progress, Snapshot
from splitbrain.harness.drive.run_watchers import RunWatchers
from splitbrain.harness.errors import SplitbrainError
from splitbrain.harness.schedule.leader_role import with_leader
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.records import Ended, MemberRecord, Phase, PhaseName, RunRecord
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.versions import versions_now
from splitbrain.harness.systems.system import AdverseConditions, CrashReporter, System
from splitbrain.harness.workloads.workload import Workload
from splitbrain.histories.event import FaultEvent
from splitbrain.histories.event import Phase as FaultPhase
from splitbrain.histories.recorder import Recorder
from splitbrain.nemesis.nemesis import Nemesis

FINAL_READ_TIMEOUT_MS = 5_000
HEAL_TIMEOUT_S = 30.0

OpenClients = Callable[[int], AbstractAsyncContextManager[Client]]
"""Clients for as long as the context lasts, each request with this many ms to be answered."""


class Drive:
    """One run. `interrupt` ends its load early; cancelling `run` ends it at once."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        workload: Workload,
        system: System,
        folder: RunFolder,
        progress: Progress,
        open_clients: OpenClients = open_clients,
        recorder: Recorder | None = None,
    ) -> None:
        self._schedule = schedule
        self._workload = workload
        self._system = system
        self._folder = folder
        self._progress = progress
        self._open_clients = open_clients
        self._recorder = recorder or Recorder(folder.history, folder.nemesis)
        self._watchers = RunWatchers(schedule, system, folder.watches, self._recorder.now)
        self._phases: list[Phase] = []
        self._interrupted = False
        self._members: tuple[MemberRecord, ...] = ()
        self._load: Load | None = None
        self._load_began_s = 0.0
        self._load_over = asyncio.Event()
        self._watch = LeaderWatch(system)
        self._nemesis = self._new_nemesis(schedule)
        self._quiet: bool | None = None
        self._started = datetime.now(UTC).isoformat(timespec="seconds")

    def interrupt(self) -> None:
        """End the load now; the run still heals, gathers and can be judged."""
        self._interrupted = True
        self._load_over.set()
        if self._load is not None:
            self._load.stop()

    async def run(self) -> RunRecord:
        """The record of the run, also written as `run.json`. Raises only when cancelled."""
        error = ""
        self._write_record("running", "")
        try:
            await self._through_phases()
        except Exception as problem:
            error = _why(problem)
        finally:
            broke_off = _is_cancelling()
            error = await self._close_watchers() or error
            error = "\n".join(filter(None, (error, *self._own_ends())))
            await self._stop_system()
            self._recorder.close()
            ended: Ended = "interrupted" if self._interrupted else "time limit"
            if error or broke_off:
                ended = "failed"
                error = error or "stopped before it was over"
            record = self._write_record(ended, error)
        return record

    async def _close_watchers(self) -> str:
        try:
            await self._watchers.close()
        except Exception as problem:
            return f"a watcher failed: {_why(problem)}"
        return ""

    def _own_ends(self) -> Sequence[str]:
        return self._system.ended_by_themselves() if isinstance(self._system, CrashReporter) else ()

    async def _through_phases(self) -> None:
        with self._phase("set-up"):
            await self._system.start()
            self._members = self._member_records()
            self._write_record("running", "")
            await self._watchers.start(self._open_clients)
        async with self._open_clients(self._schedule.options.request_timeout_ms) as client:
            watcher = asyncio.create_task(self._watch.run())
            try:
                if not self._interrupted:
                    with self._phase("load"):
                        await self._load_under_faults(client)
            finally:
                await _end(watcher)
        with self._phase("heal"):
            async with asyncio.timeout(HEAL_TIMEOUT_S):
                await self._nemesis.heal_all()
            self._calm()
        async with self._open_clients(FINAL_READ_TIMEOUT_MS) as client:
            await self._conclude(client)

    async def _load_under_faults(self, client: Client) -> None:
        self._load_began_s = asyncio.get_running_loop().time()
        self._tell_weather("begin", "began")
        self._watch.leader = await self._system.leader()
        self._take_parts()
        self._load = Load(
            self._schedule, self._system, self._watchers.archiving(client), self._recorder,
            lambda: self._watch.leader, self._nemesis.triggers,
        )
        if self._interrupted:
            return
        async with _beside(self._nemesis.run(), self._show()):
            await self._load.run()
            # Operations may all be over before the last fault is: it still has its time.
            left_s = self._schedule.time_limit_ms / 1000 - self._load_ms() / 1000
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left_s, 0)):
                    await self._load_over.wait()

    def _take_parts(self) -> None:
        schedule = with_leader(self._schedule, self._watch.leader)
        if schedule is not self._schedule:
            self._schedule = schedule
            self._nemesis = self._new_nemesis(schedule)

    def _new_nemesis(self, schedule: Schedule) -> Nemesis:
        return Nemesis(schedule.faults, self._system, self._record_fault, self._load_ms)

    async def _show(self) -> None:
        assert self._load is not None
        before, before_ms = 0, self._load_ms()
        while True:
            await asyncio.sleep(self._progress.period_s)
            ended, now_ms = self._load.tally.ended, self._load_ms()
            self._progress.show(Snapshot(
                phase="load",
                elapsed_s=now_ms / 1000,
                limit_s=self._schedule.time_limit_ms / 1000,
                outcomes=dict(self._load.tally.outcomes),
                rate=(ended - before) / max((now_ms - before_ms) / 1000, 1e-3),
                leader=self._watch.leader,
                faults=tuple(
                    " ".join([one.name, *one.members]) for one in self._nemesis.current()
                ),
            ))
            before, before_ms = ended, now_ms

    async def _conclude(self, client: Client) -> None:
        schedule, timeout_ms = self._schedule, self._schedule.options.quiet_timeout_ms
        with self._phase("quiet"):
            revision = await wait_quiet(client, self._system, schedule.members, timeout_ms)
            self._quiet = revision is not None
            if not self._quiet:
                self._progress.say(
                    f"the members did not agree within {timeout_ms} ms after all faults were healed"
                )
        # A smaller schedule may give the operations of one client to another: what the first
        # one would have written is read as well.
        clients = max(len(schedule.clients), schedule.options.clients)
        with self._phase("final reads"):
            await final_reads(
                client, self._recorder, self._system, self._schedule,
                self._workload.final_operations(clients), self._next_process(),
                FINAL_READS_LIMIT_S if self._quiet else FINAL_READS_LIMIT_DISAGREED_S,
            )
        with self._phase("gather"):
            states = await gather_states(self._system, self._schedule.members, revision)
            states = self._watchers.prolonged(states)
            for state in states:
                self._folder.write_state(state)
            await self._watchers.finish(states, revision)

    def _next_process(self) -> int:
        """A number above every client's: each `info` raised one by the number of clients."""
        clients = len(self._schedule.clients)
        infos = self._load.tally.outcomes["info"] if self._load else 0
        return clients * (infos + 1)

    async def _stop_system(self) -> None:
        """Everything of the system's ended, even if this task is being cancelled."""
        stopping = asyncio.ensure_future(self._system.stop())
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([stopping])
        if (problem := stopping.exception()) is not None:
            self._progress.say(f"the system could not be stopped: {_why(problem)}")

    def _load_ms(self) -> float:
        return (asyncio.get_running_loop().time() - self._load_began_s) * 1000

    def _calm(self) -> None:
        if isinstance(self._system, AdverseConditions):
            self._tell_weather("end", "ended")
            self._system.calm()

    def _tell_weather(self, *phases: FaultPhase) -> None:
        """Rough weather is a fault of the whole load, after those of the plan."""
        if isinstance(self._system, AdverseConditions) and self._system.rough:
            for phase in phases:
                self._record_fault("weather", FaultEvent(
                    len(self._schedule.faults), phase, tuple(self._schedule.members)
                ))

    def _record_fault(self, f: str, event: FaultEvent) -> None:
        self._recorder.fault(f, event)

    @contextlib.contextmanager
    def _phase(self, name: PhaseName) -> Iterator[None]:
        begin = self._recorder.now()
        self._progress.show(Snapshot(phase=name))
        try:
            yield
        finally:
            self._phases.append(Phase(name, begin, self._recorder.now()))

    def _write_record(self, ended: Ended, error: str) -> RunRecord:
        record = RunRecord(
            test=self._schedule.options.test_name(),
            seed=self._schedule.seed,
            options=self._schedule.options,
            started=self._started,
            members=self._members,
            versions={**versions_now(), **self._system.versions()},
            phases=tuple(self._phases),
            ended=ended,
            error=error,
            quiet=self._quiet,
        )
        self._folder.write_record(record)
        return record

    def _member_records(self) -> tuple[MemberRecord, ...]:
        records = []
        for member in self._schedule.members:
            address = self._system.address(member)
            trace = self._system.trace_path(member)
            records.append(MemberRecord(
                member, address.client_url, address.peer_url,
                self._relative(self._system.log_path(member)),
                None if trace is None else self._relative(trace),
            ))
        return tuple(records)

    def _relative(self, path: Path) -> str:
        """Within the run's folder if it lies there, so that the folder can be moved."""
        path, own = path.absolute(), self._folder.path
        return str(path.relative_to(own) if path.is_relative_to(own) else path)


@contextlib.asynccontextmanager
async def _beside(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Tasks that run beside the body and end with it; then their errors are raised."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            await _end(task)
    for task in tasks:
        if not task.cancelled() and (problem := task.exception()) is not None:
            raise problem


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel `task` and wait until it is over; its error is left in it."""
    task.cancel()
    while not task.done():
        await asyncio.wait([task])


def _why(problem: BaseException) -> str:
    """One line for an error of ours; where it arose for any other."""
    if isinstance(problem, SplitbrainError):
        return str(problem)
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return f"{type(problem).__name__}: {problem}"
    file = Path(trace.tb_frame.f_code.co_filename).name
    return f"{type(problem).__name__}: {problem} ({file}, line {trace.tb_lineno})"
