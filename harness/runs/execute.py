"""Executes a schedule. Every command, test and campaign uses this module.

The run gets a new folder, into which its schedule is written. Then the system under test is
started, and clients and faults act on it, in real time or in simulation. At the end, the run is
judged and the report is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.clients.any_store.catalogue import check_functions, client_maker
from splitbrain.harness.drawing.schedule_drawing import draw_schedule, is_drawn
from splitbrain.harness.drive.progress import Progress, Silent
from splitbrain.harness.drive.run_phases import Drive
from splitbrain.harness.drive.store_phases import StoreDrive
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.judge import checkers_of, judge
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.schedule.command_line import run_line, shown
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.schedule import SIMULATED, Schedule, describe
from splitbrain.harness.store.database.database import DatabaseFailed, record_folder
from splitbrain.harness.store.records import SIMULATED_NOTE, Repro, RunRecord
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.run_folders import make_run_folder
from splitbrain.harness.store.versions import versions_now
from splitbrain.harness.systems.factory import check_program, make_system
from splitbrain.harness.systems.schedule_support import refuse_unsupported
from splitbrain.harness.systems.system import System
from splitbrain.harness.systems.version_text import version_text
from splitbrain.harness.workloads.any_store.catalogue import make_store_workload
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.harness.workloads.workload_of_run import workload_of
from splitbrain.nemesis.linux.undo_journal import undo_leftovers

INVARIANTS = "invariants"
"""The name of the verdict about Raft's invariants, which are checked after every step of a
simulation."""
CHEAP_CHECKER = "statistics"
"""A fast checker, which replaces all others in runs that only look for violated invariants."""

MakeSystem = Callable[[Schedule, Path], System]
WhenReport = bool | Literal["failed"]
"""When the HTML report is written: True always, False never, "failed" if the run is not valid."""


def execute(
    schedule: Schedule,
    progress: Progress | None = None,
    make: MakeSystem = make_system,
    *,
    report: WhenReport = True,
) -> RunResult:
    """Run `schedule` in a new folder of its store, and judge the run.

    The first Ctrl-C ends the load early, and the run is judged. A second Ctrl-C stops everything at
    once and raises KeyboardInterrupt. `progress` displays the run. `make` creates the system under
    test. `report` determines when the HTML report is written. Raises BadArguments for a schedule
    that cannot be run. Any other failure is in the field `error` of the result. The function may be
    called from any thread.
    """
    progress = progress or Silent()
    folder = open_folder(schedule)
    try:
        with progress:
            if schedule.system == SIMULATED:
                _write_repro(folder, schedule, {})
                result = execute_simulated(schedule, folder, progress)
            else:
                progress.say(_title(schedule, folder))
                with asyncio.Runner(loop_factory=_loop) as loop:
                    loop.run(_drive(schedule, folder, progress, make))
                progress.say("judging")
                result = judge(folder)
    except (asyncio.CancelledError, KeyboardInterrupt):
        progress.say(f"judge what was recorded with: splitbrain check {shown(folder.path)}")
        raise KeyboardInterrupt from None
    return _conclude(schedule, folder, result, progress, report=report)


async def execute_async(
    schedule: Schedule,
    progress: Progress | None = None,
    make: MakeSystem = make_system,
    *,
    report: WhenReport = True,
) -> RunResult:
    """Run `schedule` as `execute` does, on the caller's event loop.

    The arguments are those of `execute`. If the caller cancels this coroutine, a run of real
    processes is stopped at once. A simulation is executed in a thread, and continues to its end.
    """
    if schedule.system == SIMULATED:
        # A simulation runs on a separate event loop, in virtual time.
        return await asyncio.to_thread(execute, schedule, progress, make, report=report)
    folder = open_folder(schedule)
    shown_by = progress or Silent()
    await _drive(schedule, folder, shown_by, make)

    def finish() -> RunResult:
        return _conclude(schedule, folder, judge(folder), shown_by, report=report)

    return await asyncio.to_thread(finish)


def run_sync(
    options: Options,
    progress: Progress | None = None,
    make: MakeSystem = make_system,
    *,
    report: WhenReport = True,
) -> RunResult:
    """Execute the schedule that is drawn from `options`.

    The other arguments and the errors are those of `execute`.
    """
    return execute(draw_schedule(options), progress, make, report=report)


async def run(
    options: Options,
    progress: Progress | None = None,
    make: MakeSystem = make_system,
    *,
    report: WhenReport = True,
) -> RunResult:
    """Execute the schedule that is drawn from `options`, as `execute_async` does.

    The other arguments and the errors are those of `execute`.
    """
    return await execute_async(draw_schedule(options), progress, make, report=report)


def execute_simulated(
    schedule: Schedule,
    folder: RunFolder,
    progress: Progress | None = None,
    *,
    checker: str = "",
) -> RunResult:
    """Simulate `schedule` in the existing folder `folder`, and judge the run without a report.

    With `checker`, only the checker of this name judges the run. If `checker` is "invariants", the
    load ends when the first invariant is violated.
    """
    from splitbrain.harness.simulation.simulate import simulate

    folder.write_schedule(schedule)  # Some checkers read the members' settings from the schedule.
    only_invariants = checker == INVARIANTS
    facts = simulate(schedule, folder, progress, end_when_violated=only_invariants)
    verdict = Verdict(
        INVARIANTS, not facts.violations,
        tuple(Anomaly("violated", because=one) for one in facts.violations),
        {"steps": facts.events, "violated": len(facts.violations)},
    )
    chosen = checkers_of(schedule.options, [CHEAP_CHECKER if only_invariants else checker]) if (
        checker
    ) else None
    result = judge(folder, chosen, found_in_run=(verdict,), digest=facts.digest)
    return dataclasses.replace(result, simulated=facts)


def open_folder(schedule: Schedule) -> RunFolder:
    """Make a new folder in the store for a run of `schedule`, and write the schedule into it.

    Raises BadArguments if the schedule cannot be run, or if the folder cannot be made.
    """
    options = schedule.options
    checkers_of(options)
    workload = workload_of(options)
    if options.client:
        check_functions(options, workload.name, getattr(workload, "functions", ()))
    check_program(options)
    refuse_unsupported(schedule)
    try:
        folder = make_run_folder(Path(options.store), options.test_name(), schedule.seed)
    except OSError as problem:
        raise BadArguments(
            f"the store {options.store}: a folder for the run cannot be made "
            f"({problem.strerror or problem}); give --store a folder that you may write to"
        ) from problem
    folder.write_schedule(schedule)
    return folder


def _title(schedule: Schedule, folder: RunFolder) -> str:
    return (
        f"{schedule.options.test_name()}, seed {schedule.seed}, {describe(schedule)}: "
        f"{folder.path}"
    )


def _write_repro(folder: RunFolder, schedule: Schedule, versions: dict[str, str]) -> None:
    drawn = is_drawn(schedule)
    command = (
        run_line(schedule.options, schedule.seed) if drawn
        else f"splitbrain replay {shown(folder.path)}"
    )
    repro = Repro(schedule.seed, schedule.options, {**versions_now(), **versions}, command=command)
    if schedule.system == SIMULATED:
        repro = Repro(
            schedule.seed, schedule.options, repro.versions, byte_for_byte=True,
            note=SIMULATED_NOTE, command=command,
        )
    folder.write_repro(repro)


def _conclude(
    schedule: Schedule, folder: RunFolder, result: RunResult, progress: Progress, *,
    report: WhenReport,
) -> RunResult:
    """Write the report, remove or compact the members' data, and add the run to the database."""
    if report is True or (report == "failed" and not result.valid):
        from splitbrain.harness.report.write_report import write_report

        result = dataclasses.replace(result, report=write_report(folder.path))
    keep_or_remove_data(folder, schedule, failed=result.exit_code != 0)
    try:
        record_folder(Path(schedule.options.store).absolute(), folder.path)
    except DatabaseFailed as problem:
        progress.say(f"the run is not in the database of runs: {problem}")
    return result


def keep_or_remove_data(folder: RunFolder, schedule: Schedule, *, failed: bool) -> None:
    """Remove the members' data folders, or free the disk space that these do not need.

    The option `keep_data` determines which of the two is done. `failed` is True if the run is not
    valid.
    """
    keep = schedule.options.keep_data
    if keep == "never" or (keep == "failed" and not failed):
        folder.remove_data(schedule.members)
    else:
        folder.compact_data(schedule.members)


async def _drive(
    schedule: Schedule, folder: RunFolder, progress: Progress, make: MakeSystem
) -> RunRecord:
    options = schedule.options
    if (undone := undo_leftovers()):
        progress.say(f"undid {undone} changes to processes that a killed run had left")
    system = make(schedule, folder.path)
    progress.say(f"testing {version_text(system)}")
    _write_repro(folder, schedule, dict(system.versions()))
    drive: Drive
    if options.client:
        drive = StoreDrive(
            schedule=schedule, workload=make_store_workload(options.workload,
            options.workload_options), system=system, folder=folder, progress=progress,
            make_client=client_maker(options),
        )
    else:
        drive = Drive(
            schedule=schedule, workload=make_workload(options.workload, options.workload_options),
            system=system, folder=folder, progress=progress,
        )
    with _signals(drive, progress):
        return await drive.run()


@contextlib.contextmanager
def _signals(drive: Drive, progress: Progress) -> Iterator[None]:
    """Let signals end the run while the context is open.

    The first Ctrl-C ends the load early. A second Ctrl-C, or SIGTERM, cancels the run. The context
    does nothing outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    seen = 0

    def on_interrupt() -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            progress.say("interrupted: healing and judging; press Ctrl-C again to stop at once")
            drive.interrupt()
        else:
            task.cancel()

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    loop.add_signal_handler(signal.SIGINT, on_interrupt)
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        for one, handler in before.items():
            loop.remove_signal_handler(one)
            signal.signal(one, handler)


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()
