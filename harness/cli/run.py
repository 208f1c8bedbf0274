"""`splitbrain run`: one test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from splitbrain.harness.cli.run_options import budget_option, given, run_options


@click.command("run", short_help="Run one test against a cluster, and judge it.")
@run_options
@budget_option
@click.option("--schedule", type=click.Path(exists=True, path_type=Path), default=None,
              help="Run this schedule (a .schedule file, or the folder of a run) and draw nothing;"
                   " --system then names the system to run it on.")
@click.option("--no-report", is_flag=True, help="Judge, but write no report.html.")
@click.option("--quiet", is_flag=True, help="Show nothing but the verdict.")
def command(schedule: Path | None, no_report: bool, quiet: bool, **options: Any) -> int:
    """One test: start a cluster, drive it under faults, judge it, write a report.

    Members are real processes on loopback. Clients write and read at random members
    while the nemesis does its work; then all is healed, the members must agree, and
    every checker judges the history. Ctrl-C ends the load early and still judges; a
    second one stops at once. Nothing is left running.

    Options may also stand in [tool.splitbrain] of a pyproject.toml, with the names
    that they have here; the command line wins.

    \b
    Examples:
      splitbrain run --nodes 3 --nemesis kill,pause,partition --time-limit 30
      splitbrain run --system etcd --workload kv --rate 1000 --seed 42
      splitbrain run --workload my_project.workloads:Transfers -o accounts=8
      splitbrain run --schedule my.schedule --system etcd

    \b
    Exit codes: 0 valid, 1 invalid, 2 unknown, 254 bad arguments, 255 failure.
    """
    from splitbrain.harness.cli.outcome_text import print_outcome
    from splitbrain.harness.cli.schedule_argument import schedule_from
    from splitbrain.harness.cli.terminal_progress import progress_for
    from splitbrain.harness.drawing.draw import draw_schedule
    from splitbrain.harness.drive.progress import Silent
    from splitbrain.harness.runs.execute import execute
    from splitbrain.harness.schedule.options import read_options

    progress = Silent() if quiet else progress_for()
    chosen = given(options)
    scheduled = (
        draw_schedule(read_options(chosen)) if schedule is None
        else schedule_from(schedule, chosen)
    )
    result = execute(scheduled, progress, report=not no_report)
    print_outcome(result)
    return result.exit_code
