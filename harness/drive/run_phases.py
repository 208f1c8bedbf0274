"""Drives one run through its phases: set-up, load, heal, quiet, final writes and reads, gather.

In the phase "quiet", the harness waits until the members agree without faults and load. In the
phase "gather", it reads the members' states. The run always leaves a folder that can be judged. A
failure of the harness or of the system ends the run early, and the history contains what was
observed until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.clients.carriers import clients_of
from splitbrain.harness.clients.session import EtcdClient
from splitbrain.harness.drive.background_tasks import (
    cancel_and_wait,
    in_background,
    is_cancelling,
)
from splitbrain.harness.drive.client_loops import ClientLoops
from splitbrain.harness.drive.final_phase import (
    BEYOND_BOUND_S,
    FINAL_READS_LIMIT_S,
    FINAL_WRITES_LIMIT_S,
    FinalOperations,
    gather_states,
    wait_for_agreement,
)
from splitbrain.harness.drive.load import Load
from splitbrain.harness.drive.member_choice import LeaderPoll
from splitbrain.harness.drive.progress import Progress, Snapshot
from splitbrain.harness.drive.run_watchers import RunWatchers
from splitbrain.harness.drive.sessions import Sessions
from splitbrain.harness.drive.stall_monitor import StallMonitor
from splitbrain.harness.errors import SplitbrainError
from splitbrain.harness.schedule.leader_role import with_leader
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.records import Ended, MemberRecord, Phase, PhaseName, RunRecord
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.versions import versions_now
from splitbrain.harness.systems.system import (
    Administered,
    AdverseConditions,
    Crash,
    CrashReporter,
    Encrypted,
    ServingMembers,
    System,
    tls_of,
)
from splitbrain.harness.systems.tls.tls_probe import TlsProbe
from splitbrain.harness.workloads.operations_outside_load import (
    administrator,
    final_reads,
    final_write,
    quiet_operations,
    set_up_operations,
    settle_s,
)
from splitbrain.harness.workloads.workload import Workload
from splitbrain.histories.event import FaultEvent
from splitbrain.histories.event import Phase as FaultPhase
from splitbrain.histories.random_stream import stream
from splitbrain.histories.recorder import Recorder
from splitbrain.nemesis.nemesis import Nemesis

FINAL_TIMEOUT_MS = 5_000
HEAL_TIMEOUT_S = 60.0
ADVERSE_CONDITIONS = "adverse_conditions"
"""The name under which the history records adverse conditions of network, disks and members."""
CRASH_POLL_S = 0.05
SET_UP_PROCESS = 1_000_000_000
"""The process number of the first operation before the load. No client of the load uses it."""

OpenClients = Callable[[int], AbstractAsyncContextManager[EtcdClient]]
"""Opens a client. The argument is the timeout of its requests in ms. The context closes it."""


class Drive:
    """One run against a v3 store, from its set-up to the members' states.

    `interrupt` ends the load early. Cancelling `run` ends the run at once.
    """

    def __init__(
        self,
        *,
        schedule: Schedule,
        workload: Workload,
        system: System,
        folder: RunFolder,
        progress: Progress,
        open_clients: OpenClients | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._schedule = schedule
        self._workload = workload
        self._system = system
        self._folder = folder
        self._progress = progress
        self._open_clients = open_clients or clients_of(
            schedule.options.carrier, lambda: tls_of(system)
        )
        self._recorder = recorder or Recorder(folder.history, folder.nemesis)
        self._watchers = RunWatchers(schedule, system, folder.watches, self._recorder.now)
        self._leader = LeaderPoll(system)
        self._stalls = StallMonitor(self._recorder.now)
        self._phases: list[Phase] = []
        self._interrupted = False
        self._members: tuple[MemberRecord, ...] = ()
        self._crashes: list[Crash] = []
        self._tls_probes: tuple[TlsProbe, ...] = ()
        self._load: ClientLoops | None = None
        self._load_began_s = 0.0
        self._load_over = asyncio.Event()
        self._nemesis = self._new_nemesis(schedule)
        self._agreed: bool | None = None
        self._started = datetime.now(UTC).isoformat(timespec="seconds")

    def interrupt(self) -> None:
        """End the load now. The remaining phases follow, so that the run can be judged."""
        self._interrupted = True
        self._load_over.set()
        if self._load is not None:
            self._load.stop()

    async def run(self) -> RunRecord:
        """Run all phases. Returns the record of the run, which is also written to `run.json`.

        Raises only if it is cancelled.
        """
        error = ""
        self._write_record("running", "")
        # There are no stalls in virtual time.
        monitors = () if getattr(self._system, "virtual_time", False) else (self._stalls.run(),)
        try:
            async with in_background(*monitors):
                await self._run_phases()
        except Exception as problem:
            error = _error_text(problem)
        finally:
            cancelled = is_cancelling()
            error = await self._close_watchers() or error
            self._notice_crashes()
            running = self._running()
            ended_members = [name for name in self._schedule.members if name not in running]
            await self._stop_system()
            self._recorder.close()
            ended: Ended = "interrupted" if self._interrupted else "time limit"
            if error or cancelled:
                ended = "failed"
                error = error or "the run was stopped before its end"
            record = self._write_record(ended, error, ended_members)
        return record

    async def _close_watchers(self) -> str:
        try:
            await self._watchers.close()
        except Exception as problem:
            return f"a watcher failed: {_error_text(problem)}"
        return ""

    def _notice_crashes(self) -> None:
        """Record the crashes that the system has noticed since the last call."""
        if not isinstance(self._system, CrashReporter) or not self._members:
            return  # a crash during the set-up is reported as the error of the set-up
        reported = tuple(self._system.ended_by_themselves())
        for one in reported[len(self._crashes):]:
            crash = self._crash_of(one)
            self._crashes.append(crash)
            self._progress.say(f"{crash.member} ended by itself: {crash.how}")

    def _crash_of(self, reported: Crash | str) -> Crash:
        now = self._recorder.now()
        if isinstance(reported, Crash):
            return replace(reported, at=now, log=self._relative(Path(reported.log)))
        first, _, rest = reported.partition(" ")
        named = first in self._schedule.members
        return Crash(first, rest, at=now) if named else Crash("", reported, at=now)

    async def _poll_crashes(self) -> None:
        """Record each crash soon after it happens, so that its time is right. Never returns."""
        while True:
            self._notice_crashes()
            await asyncio.sleep(CRASH_POLL_S)

    def _running(self) -> tuple[str, ...]:
        """Return the members that have not crashed, or that run again after a crash."""
        crashed = {crash.member for crash in self._crashes}
        return tuple(
            member for member in self._schedule.members
            if member not in crashed or self._system.alive(member)
        )

    async def _run_phases(self) -> None:
        await self._set_up()
        async with self._open_clients(self._schedule.options.request_timeout_ms) as client:
            await self._prepare(client)
            sessions = self._sessions(self._watchers.archiving_client(client))
            await self._load_phase(lambda: Load(
                schedule=self._schedule, sessions=sessions, leader=self._leader,
                triggers=self._nemesis.triggers,
            ))
        await self._heal()
        async with self._open_clients(FINAL_TIMEOUT_MS) as client:
            await self._run_final_phases(client)

    def _sessions(self, client: EtcdClient) -> Sessions:
        return Sessions(system=self._system, clients=client, recorder=self._recorder)

    async def _set_up(self) -> None:
        with self._phase("set-up"):
            if isinstance(self._system, Administered):
                self._system.administrator = Administrator(*administrator(self._workload))
            await self._system.start()
            if isinstance(self._system, Encrypted):
                self._tls_probes = tuple(await self._system.probe_tls())
            self._members = self._member_records()
            self._write_record("running", "")
            await self._watchers.start(self._open_clients)

    async def _prepare(self, client: EtcdClient) -> None:
        """Send the workload's operations that come before the load."""
        random = stream(self._schedule.seed, "set-up")
        drafts = set_up_operations(self._workload, random)
        if drafts:
            with self._phase("set-up"):
                first = FinalOperations(self._sessions(client), itertools.count(SET_UP_PROCESS))
                await first.settle(self._schedule.members, drafts)

    async def _load_phase(self, new_load: Callable[[], ClientLoops]) -> None:
        leader_poll = asyncio.create_task(self._leader.run())
        try:
            if not self._interrupted:
                with self._phase("load"):
                    await self._load_under_faults(new_load)
        finally:
            await cancel_and_wait(leader_poll)

    async def _heal(self) -> None:
        with self._phase("heal"):
            async with asyncio.timeout(HEAL_TIMEOUT_S):
                # Members join a cluster only under conditions in which the cluster makes progress.
                await self._nemesis.heal_all(self._end_adverse_conditions)
            self._end_adverse_conditions()

    async def _load_under_faults(self, new_load: Callable[[], ClientLoops]) -> None:
        self._load_began_s = asyncio.get_running_loop().time()
        self._record_adverse_conditions("begin", "began")
        self._leader.name = await self._system.leader()
        self._assign_leader_role()
        self._load = new_load()
        if self._interrupted:
            return
        watches_crashes = isinstance(self._system, CrashReporter)
        others = (self._poll_crashes(),) if watches_crashes else ()
        async with in_background(self._nemesis.run(), self._show_progress(), *others):
            await self._load.run()
            # The load lasts its full time, because the last operation may end before the last
            # fault.
            left_s = self._schedule.time_limit_ms / 1000 - self._load_ms() / 1000
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left_s, 0)):
                    await self._load_over.wait()

    def _assign_leader_role(self) -> None:
        schedule = with_leader(self._schedule, self._leader.name)
        if schedule is not self._schedule:
            self._schedule = schedule
            self._nemesis = self._new_nemesis(schedule)

    def _new_nemesis(self, schedule: Schedule) -> Nemesis:
        return Nemesis(schedule.faults, self._system, self._record_fault, self._load_ms)

    async def _show_progress(self) -> None:
        assert self._load is not None
        before, before_ms = 0, self._load_ms()
        while True:
            await asyncio.sleep(self._progress.period_s)
            ended, now_ms = self._load.counts.ended, self._load_ms()
            self._progress.show(Snapshot(
                phase="load",
                elapsed_s=now_ms / 1000,
                limit_s=self._schedule.time_limit_ms / 1000,
                outcomes=dict(self._load.counts.outcomes),
                rate=(ended - before) / max((now_ms - before_ms) / 1000, 1e-3),
                leader=self._leader.name,
                faults=tuple(
                    " ".join([one.name, *one.members]) for one in self._nemesis.current()
                ),
            ))
            before, before_ms = ended, now_ms

    async def _run_final_phases(self, client: EtcdClient) -> None:
        schedule, timeout_ms = self._schedule, self._schedule.options.quiet_timeout_ms
        self._notice_crashes()
        running = self._running()
        with self._phase("quiet"):
            # A frame that arrives late, such as a forwarded write, could change the members' states
            # after they have agreed.
            await asyncio.sleep(getattr(self._system, "in_flight_s", 0.0))
            revision = await wait_for_agreement(client, self._system, running, timeout_ms)
            self._agreed = revision is not None
            if not self._agreed:
                self._progress.say(
                    f"the members did not agree within {timeout_ms} ms after all faults were healed"
                )
        final = FinalOperations(self._sessions(client), itertools.count(self._next_process()))
        with self._phase("final writes"):
            await final.settle(running, quiet_operations(self._workload))
            await self._write_through(final, running)
            if self._agreed:
                revision = await wait_for_agreement(client, self._system, running, timeout_ms)
                self._agreed = revision is not None
        # Shrinking may move operations to a lower client. All keys must still be read.
        clients = max(len(schedule.clients), schedule.options.clients)
        with self._phase("final reads"):
            await final.read(
                running, final_reads(self._workload, clients), after_s=settle_s(self._workload),
                # If the members did not agree, more time rarely helps, so the limit is shorter.
                limit_s=FINAL_READS_LIMIT_S if self._agreed else self._beyond_bound_s,
            )
        with self._phase("gather"):
            states = await gather_states(self._system, self._schedule.members, revision)
            states = self._watchers.with_archived_changes(states)
            for state in states:
                self._folder.write_state(state)
            await self._watchers.finish(states, revision)

    async def _write_through(self, final: FinalOperations, running: Sequence[str]) -> None:
        """Send a write through each of the `running` members until it is answered.

        The checker of availability requires an answer within a bound. The time limit of these
        writes is longer than this bound, so that the checker can find a member that exceeds it.
        Periods in which the harness itself did not run are not counted in the limit.
        """
        enough_ns = self._stalls.unstalled_ns() + round(self._beyond_bound_s * 1e9)
        last_ns = self._recorder.now() + round(FINAL_WRITES_LIMIT_S * 1e9)

        def is_over() -> bool:
            return self._stalls.unstalled_ns() > enough_ns or self._recorder.now() > last_ns

        serving = [member for member in self._serving() if member in running]
        await final.write_through(
            serving, lambda value: final_write(self._workload, value), is_over
        )

    @property
    def _beyond_bound_s(self) -> float:
        return self._schedule.options.availability_bound_ms / 1000 + BEYOND_BOUND_S

    def _serving(self) -> tuple[str, ...]:
        if isinstance(self._system, ServingMembers):
            return tuple(self._system.serving_members())
        return self._schedule.members

    def _next_process(self) -> int:
        """Return a process number that no client of the load has used.

        It is for the operations at the end of the run. A client's first process number is the
        number of the client. After each `info`, the client's process number increases by the number
        of clients.
        """
        clients = len(self._schedule.clients)
        infos = self._load.counts.outcomes["info"] if self._load else 0
        return clients * (infos + 1)

    async def _stop_system(self) -> None:
        """Stop the system completely, even if this task is being cancelled."""
        stopping = asyncio.ensure_future(self._system.stop())
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([stopping])
        if (problem := stopping.exception()) is not None:
            self._progress.say(f"the system could not be stopped: {_error_text(problem)}")

    def _load_ms(self) -> float:
        return (asyncio.get_running_loop().time() - self._load_began_s) * 1000

    def _end_adverse_conditions(self) -> None:
        if isinstance(self._system, AdverseConditions):
            self._record_adverse_conditions("end", "ended")
            self._system.end_adverse_conditions()

    def _record_adverse_conditions(self, *phases: FaultPhase) -> None:
        """Record the system's adverse conditions in the history, as events of a fault.

        Adverse conditions are, for example, a lossy network in the simulation. They are recorded as
        one fault that lasts for the whole load. Its number is the next one after the numbers of the
        schedule's faults. Nothing is recorded for a system without adverse conditions.
        """
        if isinstance(self._system, AdverseConditions) and self._system.has_adverse_conditions:
            for phase in phases:
                self._record_fault(ADVERSE_CONDITIONS, FaultEvent(
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

    def _write_record(
        self, ended: Ended, error: str, ended_members: Sequence[str] = ()
    ) -> RunRecord:
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
            quiet=self._agreed,
            crashes=tuple(self._crashes),
            tls_probes=self._tls_probes,
            ended_members=tuple(ended_members),
            serving=self._serving(),
            stalls=tuple(self._stalls.stalls),
            clock_origin_ns=self._recorder.origin_ns,
        )
        self._folder.write_record(record)
        return record

    def _member_records(self) -> tuple[MemberRecord, ...]:
        records = []
        for member in self._schedule.members:
            address = self._system.address(member)
            trace = self._system.trace_path(member)
            records.append(MemberRecord(
                name=member, client_url=address.client_url, peer_url=address.peer_url,
                log=self._relative(self._system.log_path(member)),
                trace=None if trace is None else self._relative(trace),
            ))
        return tuple(records)

    def _relative(self, path: Path) -> str:
        """Return `path` relative to the run's folder, so that the folder can be moved.

        A path outside the folder stays absolute.
        """
        path, folder = path.absolute(), self._folder.path
        return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _error_text(problem: BaseException) -> str:
    """Return the text of the exception `problem` for the record of the run.

    For an exception that is not an error of this project, the text also contains its type and the
    source line that raised it.
    """
    if isinstance(problem, SplitbrainError):
        return str(problem)
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return f"{type(problem).__name__}: {problem}"
    file = Path(trace.tb_frame.f_code.co_filename).name
    return f"{type(problem).__name__}: {problem} ({file}, line {trace.tb_lineno})"
