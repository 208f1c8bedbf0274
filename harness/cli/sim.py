"""`splitbrain sim`: the same test in simulation; one seed, or a campaign of many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splitbrain.harness.cli.run_options import given, run_options, simulated_alone

if TYPE_CHECKING:
    from splitbrain.harness.schedule.schedule import Schedule

PLAIN_PROGRESS_S = 30.0
"""Where there is no terminal for a bar, a line comes so often."""


@simulated_alone
@click.command("sim", short_help="Run in simulation: one seed, or many.")
@run_options
@click.option("--runs", default=1, show_default=True, metavar="N",
              help="So many seeds, from --seed on; of those not valid the line that repeats them.")
@click.option("--workers", default=1, show_default=True, metavar="W",
              help="Processes that share the runs.")
@click.option("--schedule", type=click.Path(exists=True, path_type=Path), default=None,
              help="Run this schedule (a .schedule file, or the folder of a run) and draw nothing.")
@click.option("--no-report", is_flag=True, help="Judge, but write no report.html.")
@click.option("--quiet", is_flag=True, help="Show nothing but the verdict.")
def command(
    runs: int, workers: int, schedule: Path | None, no_report: bool, quiet: bool, **options: Any
) -> int:
    """Run the cluster in one process under virtual time, network and disks.

    The seed decides everything: faults, operations, settings, delays, what a disk loses.
    What is given as an option is not drawn. The same seed and sources give the same
    run, byte for byte, and end with the same digest.

    \b
    Examples:
      splitbrain sim --seed 7
      splitbrain sim --runs 1000 --workers 2
      splitbrain sim --runs 100 --nemesis power,disk --workload kv
      splitbrain sim --schedule store/shrunk/vote_not_persisted-7.schedule

    \b
    Exit codes: 0 all valid, 1 something invalid, 2 something unknown, 254, 255; 130 a
    Ctrl-C came before all seeds were run, and nothing was invalid until then.
    """
    from splitbrain.harness.errors import BadArguments

    if runs < 1 or workers < 1:
        raise BadArguments(f"--runs {runs} --workers {workers}: expected 1 or more of both")
    if schedule is not None:
        if runs > 1 or workers > 1:
            raise BadArguments("--schedule with --runs or --workers: it says one run")
        return _scheduled(schedule, given(options), report=not no_report, quiet=quiet)
    wanted = {**given(options), "system": "simulated"}
    if runs == 1:
        return _one(wanted, report=not no_report, quiet=quiet)
    return _many(wanted, runs, workers, quiet=quiet)


def _one(wanted: dict[str, Any], *, report: bool, quiet: bool) -> int:
    from splitbrain.harness.drawing.draw import draw_swarm_schedule
    from splitbrain.harness.drawing.seed import seed_or_drawn

    seed = seed_or_drawn(wanted.pop("seed", None))
    return _executed(draw_swarm_schedule(seed, wanted), report=report, quiet=quiet)


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


def _many(wanted: dict[str, Any], runs: int, workers: int, *, quiet: bool) -> int:
    import sys
    import time

    from splitbrain.harness.campaign.campaign import campaign
    from splitbrain.harness.campaign.summary import Summary, result_lines
    from splitbrain.harness.cli.exit_codes import EXIT_INTERRUPTED
    from splitbrain.harness.cli.interrupt import Stopping
    from splitbrain.harness.drawing.seed import seed_or_drawn

    first = seed_or_drawn(wanted.pop("seed", None))
    if not quiet:
        click.echo(f"seeds {first} to {first + runs - 1}")
    summary = Summary()
    began = time.monotonic()
    stopped = False
    try:
        results = campaign(range(first, first + runs), wanted, workers)
        with Stopping() as stopping, click.progressbar(
            results, length=runs, label="seeds", hidden=quiet or not sys.stdout.isatty()
        ) as shown:
            told = began
            for result in shown:
                summary.take(result)
                if result.valid is not True:
                    click.echo("\n".join(result_lines(result, wanted)), err=True)
                now = time.monotonic()
                if not (quiet or sys.stdout.isatty()) and now - told >= PLAIN_PROGRESS_S:
                    told = now
                    click.echo(f"{summary.runs:,} of {runs:,} seeds in {now - began:,.0f} s")
                if summary.runs < runs:
                    stopping.check()
    except KeyboardInterrupt:
        # What has been run was run: no seed's result is lost with those still to come.
        stopped = True
        click.echo(f"\nstopped after {summary.runs} of {runs} seeds", err=True)
    for line in summary.lines(time.monotonic() - began, wanted):
        click.echo(line)
    return EXIT_INTERRUPTED if stopped and summary.exit_code != 1 else summary.exit_code
