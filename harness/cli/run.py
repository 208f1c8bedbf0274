"""`splitbrain run`: one test."""

from __future__ import annotations

from typing import Any

import click

from splitbrain.harness.cli.run_options import budget_option, given, run_options


@click.command("run", short_help="Run one test against a cluster, and judge it.")
@run_options
@budget_option
@click.option("--no-report", is_flag=True, help="Judge, but write no report.html.")
@click.option("--quiet", is_flag=True, help="Show nothing but the verdict.")
def command(no_report: bool, quiet: bool, **options: Any) -> int:
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

    \b
    Exit codes: 0 valid, 1 invalid, 2 unknown, 254 bad arguments, 255 failure.
    """
    from splitbrain.harness.cli.outcome_text import tell
    from splitbrain.harness.progress import Silent, progress_for
    from splitbrain.harness.runs.execute import run_sync
    from splitbrain.harness.schedule.options import read_options

    settled = read_options(given(options))
    progress = Silent() if quiet else progress_for()
    result = run_sync(settled, progress=progress, report=not no_report)
    tell(result)
    return result.exit_code
