"""`splitbrain sim`: runs a test in simulation, for one seed or for many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splitbrain.harness.cli.run_options import WORKERS_MAX, given, run_options, simulated_alone
from splitbrain.harness.counted import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from splitbrain.harness.schedule.schedule import Schedule
    from splitbrain.harness.seeds.seed_runs import SeedResult

PLAIN_PROGRESS_S = 30.0
"""The time in s between two lines of progress if the output is not a terminal."""


@simulated_alone
@click.command("sim", short_help="Run tests in simulation: one seed, or many.")
@run_options
@click.option("--runs", default=1, show_default=True, metavar="N",
              help="How many seeds to run, from --seed on. For each run that is not valid, the "
                   "command that repeats it is printed.")
@click.option("--workers", type=click.IntRange(1, WORKERS_MAX), default=1, show_default=True,
              metavar="W",
              help="How many processes share the runs.")
@click.option("--adaptive", is_flag=True,
              help="Choose each run by the conditions that earlier runs reached, instead of running"
                   " the seeds in order.")
@click.option("--schedule", type=click.Path(exists=True, path_type=Path), default=None,
              help="Run this schedule (a .schedule file or the folder of a run) instead of drawing"
                   " one.")
@click.option("--no-report", is_flag=True,
              help="Do not write report.html. With --runs above 1, it is never written.")
@click.option("--quiet", is_flag=True, help="Print only the outcome, without progress.")
def command(
    runs: int, workers: int, adaptive: bool, schedule: Path | None, no_report: bool, quiet: bool,
    **options: Any,
) -> int:
    """Run the project's own store in one process, with virtual time, network and disks.

    The seed determines the whole run: workload, operations, faults, settings, delays, and
    what a disk loses in a power failure. An option that is given replaces the value that the
    seed would determine. The same seed and sources repeat the run byte for byte, with the same
    digest.

    The simulation counts conditions that a run reaches, such as an election or a full queue. With
    --adaptive, each run is chosen by these conditions. The command prefers configurations and
    schedules that led to a new condition, or to a new combination or order of conditions. Each run
    that is not valid is saved as a .schedule file in STORE/adaptive. With one worker, the same
    --seed and --runs choose the same runs again. With several workers, the runs can differ.

    \b
    Examples:
      splitbrain sim --seed 7
      splitbrain sim --runs 1000 --workers 2
      splitbrain sim --runs 1000 --adaptive
      splitbrain sim --runs 100 --nemesis power,disk --workload kv
      splitbrain sim --schedule store/shrunk/vote_not_persisted-7.schedule

    \b
    Exit codes: 1 if any run is invalid, else 130 if Ctrl-C ended the command early, else 2 if
    any run is unknown, else 0; 254 bad arguments, 255 the harness failed.
    """
    from splitbrain.harness.errors import BadArguments

    if runs < 1:
        raise BadArguments(f"--runs {runs}: expected 1 or more")
    if schedule is not None:
        if runs > 1 or workers > 1 or adaptive:
            raise BadArguments(
                "--schedule with --runs, --workers or --adaptive: a schedule is one run; give only "
                "one of them"
            )
        return _scheduled(schedule, given(options), report=not no_report, quiet=quiet)
    chosen = {**given(options), "system": "simulated"}
    if adaptive:
        return _adaptive(chosen, runs, workers, quiet=quiet)
    if runs == 1:
        return _one(chosen, report=not no_report, quiet=quiet)
    return _many(chosen, runs, workers, quiet=quiet)


def _one(chosen: dict[str, Any], *, report: bool, quiet: bool) -> int:
    from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
    from splitbrain.harness.drawing.seed import seed_or_drawn

    seed = seed_or_drawn(chosen.pop("seed", None))
    return _executed(draw_swarm_schedule(seed, chosen), report=report, quiet=quiet)


def _scheduled(path: Path, others: dict[str, Any], *, report: bool, quiet: bool) -> int:
    from splitbrain.harness.cli.schedule_argument import schedule_from

    schedule = schedule_from(path, {**others, "system": "simulated"})
    return _executed(schedule, report=report, quiet=quiet)


def _executed(schedule: Schedule, *, report: bool, quiet: bool) -> int:
    from splitbrain.harness.cli.outcome_text import print_outcome
    from splitbrain.harness.cli.terminal_progress import progress_for
    from splitbrain.harness.drive.progress import Silent
    from splitbrain.harness.runs.execute import execute

    result = execute(schedule, Silent() if quiet else progress_for(), report=report)
    print_outcome(result)
    return result.exit_code


def _many(chosen: dict[str, Any], runs: int, workers: int, *, quiet: bool) -> int:
    from splitbrain.harness.drawing.seed import seed_or_drawn
    from splitbrain.harness.seeds.seed_runs import campaign

    first = seed_or_drawn(chosen.pop("seed", None))
    if not quiet:
        click.echo(f"seeds {first} to {first + runs - 1}")
    return _summarized(
        campaign(range(first, first + runs), chosen, workers), chosen, runs, quiet=quiet
    )


def _adaptive(chosen: dict[str, Any], runs: int, workers: int, *, quiet: bool) -> int:
    from splitbrain.harness.adaptive.adaptive_campaign import adaptive_campaign, saving
    from splitbrain.harness.adaptive.scheduler import AdaptiveScheduler
    from splitbrain.harness.drawing.seed import seed_or_drawn

    seed = seed_or_drawn(chosen.pop("seed", None))
    if not quiet:
        click.echo(f"adaptive campaign of {counted(runs, 'run')} from seed {seed}")
    scheduler = AdaptiveScheduler(seed, chosen)
    results = saving(adaptive_campaign(scheduler, runs, workers), chosen, seed)
    code = _summarized(results, chosen, runs, quiet=quiet)
    if not quiet:
        click.echo("\n".join(scheduler.lines()))
    return code


def _summarized(
    results: Iterator[SeedResult], chosen: dict[str, Any], runs: int, *, quiet: bool
) -> int:
    """Run a campaign of `runs` runs, and print its progress and its summary.

    Returns the exit code.
    """
    import sys
    import time

    from splitbrain.harness.cli.interrupt import Stopping
    from splitbrain.harness.exit_codes import EXIT_INTERRUPTED, EXIT_INVALID
    from splitbrain.harness.seeds.summary import Summary, result_lines

    summary = Summary()
    began = time.monotonic()
    stopped = False
    try:
        with Stopping() as stopping, click.progressbar(
            results, length=runs, label="seeds", hidden=quiet or not sys.stdout.isatty()
        ) as seeds_run:
            printed = began
            for result in seeds_run:
                summary.add(result)
                if result.valid is not True:
                    click.echo("\n".join(result_lines(result, chosen)), err=True)
                now = time.monotonic()
                if not (quiet or sys.stdout.isatty()) and now - printed >= PLAIN_PROGRESS_S:
                    printed = now
                    click.echo(f"{summary.runs:,} of {runs:,} seeds in {now - began:,.0f} s")
                if summary.runs < runs:
                    stopping.check()
    except KeyboardInterrupt:
        # The summary of the finished runs is printed in any case.
        stopped = True
        click.echo(f"\nstopped after {summary.runs} of {runs} seeds", err=True)
    for line in summary.lines(time.monotonic() - began, chosen):
        click.echo(line)
    return EXIT_INTERRUPTED if stopped and summary.exit_code != EXIT_INVALID else summary.exit_code
