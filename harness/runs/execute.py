"""One whole run: plan, drive, judge, report."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from splitbrain.harness.drawing.draw import draw_plan
from splitbrain.harness.drive.drive import Drive, versions_now
from splitbrain.harness.errors import BadArguments, SplitbrainError
from splitbrain.harness.judging import judge as judging
from splitbrain.harness.judging.judge import RunResult, judge
from splitbrain.harness.progress import Progress, Silent
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.plan import Plan, write_plan
from splitbrain.harness.store.records import RunRecord
from splitbrain.harness.store.repro import with_versions, write_repro
from splitbrain.harness.store.run_folder import make_run_folder
from splitbrain.harness.systems.catalogue import SIMULATED
from splitbrain.harness.systems.factory import capabilities_of, check_program, make_system
from splitbrain.harness.systems.services import check_services
from splitbrain.harness.systems.system import System
from splitbrain.harness.workloads.catalogue import make_workload

SEED_BITS = 48

MakeSystem = Callable[[Options, Plan, Path], System]


def run_sync(
    options: Options,
    plan: Plan | None = None,
    progress: Progress | None = None,
    make: MakeSystem = make_system,
    report: bool = True,
) -> RunResult:
    """Run once, from the main thread or any other; see `run`.

    Ctrl-C ends the load early, and the run is judged; a second one stops everything
    at once and raises KeyboardInterrupt.
    """
    progress = progress or Silent()
    options, plan, folder = prepare(options, plan)
    if options.system == SIMULATED:
        return _simulated(options, plan, folder, progress, report)
    progress.say(f"{options.test_name()}, seed {plan.seed}, {len(plan.members)} members: {folder}")
    try:
        with progress, asyncio.Runner(loop_factory=_loop) as loop:
            loop.run(_drive(options, plan, folder, progress, make))
        progress.say("judging")
        return conclude(folder, report)
    except (asyncio.CancelledError, KeyboardInterrupt):
        progress.say(f"what was recorded can still be judged: splitbrain check {folder}")
        raise KeyboardInterrupt from None


async def run(
    options: Options,
    plan: Plan | None = None,
    progress: Progress | None = None,
    make: MakeSystem = make_system,
    report: bool = True,
) -> RunResult:
    """Run once on the loop of the caller.

    `plan` is what to run (None: drawn from the options and their seed). `make` makes
    the system under test. Raises BadArguments if the options ask for what cannot be;
    any other failure is in the result. Cancelling it stops all that it started.
    """
    options, plan, folder = prepare(options, plan)
    if options.system == SIMULATED:
        # A loop of its own, on which time is not the caller's.
        return await asyncio.to_thread(
            _simulated, options, plan, folder, progress or Silent(), report
        )
    await _drive(options, plan, folder, progress or Silent(), make)
    return await asyncio.to_thread(conclude, folder, report)


def prepare(options: Options, plan: Plan | None) -> tuple[Options, Plan, Path]:
    """Draw what is to be drawn, and make the run's folder with its plan and repro.json."""
    drawn = plan is None or _is_drawn(options, plan)
    if plan is None:
        seed = secrets.randbits(SEED_BITS) if options.seed is None else options.seed
        workload = make_workload(options.workload, options.workload_options)
        check_services(options.system, workload)
        judging.checkers_of(options)  # a name that is none is told before the run, not after it
        plan = draw_plan(options, seed, workload, capabilities_of(options))
    options = msgspec.structs.replace(options, seed=plan.seed)
    check_program(options)
    folder = _run_folder(options, plan.seed)
    write_plan(plan, folder / "plan.json")
    write_repro(folder, options, plan, versions_now(), drawn=drawn)
    return options, plan, folder


def _is_drawn(options: Options, plan: Plan) -> bool:
    """Whether the options and the seed alone would come to `plan`, too."""
    try:
        workload = make_workload(options.workload, options.workload_options)
        return draw_plan(options, plan.seed, workload, capabilities_of(options)) == plan
    except SplitbrainError:
        return False


def _run_folder(options: Options, seed: int) -> Path:
    try:
        return make_run_folder(Path(options.store), options.test_name(), seed)
    except OSError as problem:
        raise BadArguments(
            f"the store {options.store}: no folder for a run can be made in it "
            f"({problem.strerror or problem}); give --store a folder that this user may write to"
        ) from problem


def _simulated(
    options: Options, plan: Plan, folder: Path, progress: Progress, report: bool
) -> RunResult:
    from splitbrain.harness.simulation.run import simulate

    with progress:
        simulated = simulate(options, plan, folder, progress=progress)
    result = simulated.result
    if not report:
        return result
    from splitbrain.harness.report import write

    return dataclasses.replace(result, report=write(folder))


def conclude(folder: Path, report: bool = True) -> RunResult:
    """Judge the run in `folder` and write its report."""
    result = judge(folder)
    if not report:
        return result
    from splitbrain.harness.report import write

    return dataclasses.replace(result, report=write(folder))


async def _drive(
    options: Options, plan: Plan, folder: Path, progress: Progress, make: MakeSystem
) -> RunRecord:
    workload = make_workload(options.workload, options.workload_options)
    system = make(options, plan, folder)
    with_versions(folder, {**versions_now(), **system.versions()})
    drive = Drive(options, plan, workload, system, folder, progress)
    with _signals(drive, progress):
        return await drive.run()


@contextlib.contextmanager
def _signals(drive: Drive, progress: Progress) -> Iterator[None]:
    """The first Ctrl-C interrupts the load; a second one, or SIGTERM, cancels the run."""
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
            progress.say("interrupted: healing and judging; once more to stop at once")
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
