"""`splitbrain replay P`: run again what P recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from splitbrain.harness.judging.judge import RunResult
    from splitbrain.harness.progress import Progress


@click.command("replay", short_help="Run again what was recorded.")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--times", default=1, show_default=True, metavar="N",
              help="Run up to N times, until one is not valid.")
@click.option("--system", default=None, metavar="NAME",
              help="Of a schedule: simulated, or python_node.  [default: as recorded]")
@click.option("--store", default=None, metavar="DIR",
              help="The folder of runs.  [default: as recorded]")
@click.option("--quiet", is_flag=True, help="Show nothing but the verdict.")
def command(path: Path, times: int, system: str | None, store: str | None, quiet: bool) -> int:
    """Run again what PATH recorded: a run's folder, its repro.json, or its report.

    PATH may also be a schedule's file, see `splitbrain shrink`: it is run in simulation,
    or with --system python_node against processes, its faults at the same steps.

    The plan (members, operations, faults and their times) is read, and nothing is
    drawn. Real processes repeat that plan, not the interleaving that the machine gave
    them: a bug that needs luck may need several tries, see --times.

    \b
    Examples:
      splitbrain replay store/latest
      splitbrain replay store/python_node-register/20260101T120000Z-42 --times 10
      splitbrain replay my.schedule --system python_node --times 3

    \b
    Exit codes: those of the last run: 0 valid, 1 invalid, 2 unknown, 254, 255.
    """
    from splitbrain.harness.cli.outcome_text import tell
    from splitbrain.harness.errors import BadArguments

    if times < 1:
        raise BadArguments(f"--times {times}: expected at least 1")
    run = _run_of(path.resolve(), system, store, quiet=quiet)
    for count in range(1, times + 1):
        if times > 1:
            click.echo(f"try {count} of {times}")
        result = run()
        tell(result)
        if result.valid is not True:
            break
    return result.exit_code


def _run_of(
    path: Path, system: str | None, store: str | None, *, quiet: bool
) -> Callable[[], RunResult]:
    """What runs it once more."""
    from splitbrain.harness.runs.schedule_run import SCHEDULE_FILE, is_schedule

    if system is not None or is_schedule(path) or (path / SCHEDULE_FILE).is_file():
        return _scheduled(path, system, store, quiet=quiet)
    import msgspec

    from splitbrain.harness.runs.execute import run_sync
    from splitbrain.harness.store.repro import read_repro

    repro, plan = read_repro(path)
    options = repro.options
    if store is not None:
        options = msgspec.structs.replace(options, store=store)
    if not repro.byte_for_byte:
        click.echo(repro.note)
    return lambda: run_sync(options, plan, progress=_progress(quiet))


def _scheduled(
    path: Path, system: str | None, store: str | None, *, quiet: bool
) -> Callable[[], RunResult]:
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.runs.execute import run_sync
    from splitbrain.harness.runs.schedule_run import run_schedule, schedule_at
    from splitbrain.harness.schedule.options import DEFAULTS
    from splitbrain.harness.shrinking.process_support import for_processes

    schedule = schedule_at(path)
    if system in (None, "simulated"):
        return lambda: run_schedule(schedule, store or DEFAULTS.store, _progress(quiet))
    if system != "python_node":
        raise BadArguments(f"--system {system}: a schedule is run by simulated or python_node")
    options, plan = for_processes(schedule, store or DEFAULTS.store)
    return lambda: run_sync(options, plan, progress=_progress(quiet))


def _progress(quiet: bool) -> Progress:
    from splitbrain.harness.progress import Silent, progress_for

    return Silent() if quiet else progress_for()
