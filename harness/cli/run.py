"""`splitbrain run`: runs one test and judges it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splitbrain.harness.cli.run_options import budget_option, checker_option, given, run_options

if TYPE_CHECKING:
    from splitbrain.harness.schedule.options import Options
    from splitbrain.harness.schedule.schedule import Schedule


@click.command("run", short_help="Run one test against a cluster and judge it.")
@run_options
@budget_option
@checker_option
@click.option("--schedule", type=click.Path(exists=True, path_type=Path), default=None,
              help="Run this schedule (a .schedule file or the folder of a run) instead of drawing"
                   " one. --system then selects the system that it runs on.")
@click.option("--no-report", is_flag=True, help="Do not write report.html.")
@click.option("--report-failed", is_flag=True,
              help="Write report.html only if the run is not valid.")
@click.option("--quiet", is_flag=True, help="Print only the outcome, without progress.")
def command(
    schedule: Path | None, no_report: bool, report_failed: bool, quiet: bool, **options: Any
) -> int:
    """Run one test: start a cluster, send operations under faults, judge, write a report.

    The members are processes that listen on loopback. Clients send operations to random
    members while the nemesis injects faults. Then all faults are healed, and the command
    waits until the members agree. Every checker of the workload judges the history.

    Ctrl-C ends the load early, and the run is judged. A second Ctrl-C ends the command at
    once. The command stops every process that it has started.

    Options can also be set in [tool.splitbrain] of the nearest pyproject.toml, under the same
    names. The command line has priority.

    \b
    Examples:
      splitbrain run --nodes 3 --nemesis kill,pause,partition --time-limit 30
      splitbrain run --system etcd --workload kv --known all --rate 1000 --seed 42
      splitbrain run --workload my_project.workloads:Transfers -o accounts=8
      splitbrain run --schedule my.schedule --system etcd

    \b
    Exit codes: 0 valid, 1 invalid, 2 unknown, 254 bad arguments, 255 the harness failed.
    """
    from splitbrain.harness.cli.outcome_text import print_outcome
    from splitbrain.harness.cli.schedule_argument import schedule_from
    from splitbrain.harness.cli.terminal_progress import progress_for
    from splitbrain.harness.drawing.schedule_drawing import draw_schedule
    from splitbrain.harness.drive.progress import Silent
    from splitbrain.harness.runs.execute import WhenReport, execute
    from splitbrain.harness.schedule.options import read_options

    progress = Silent() if quiet else progress_for()
    chosen = given(options)
    scheduled = (
        draw_schedule(read_options(chosen)) if schedule is None
        else schedule_from(schedule, chosen)
    )
    if schedule is None and not quiet and (excuses := _known_note(scheduled.options)):
        click.echo(excuses, err=True)
    note = _mutant_note(scheduled) if schedule is None else ""
    if note and not quiet:
        click.secho(note, fg="yellow", err=True)
    report: WhenReport = "failed" if report_failed and not no_report else not no_report
    result = execute(scheduled, progress, report=report)
    print_outcome(result)
    if note and quiet and result.valid is not False:
        click.secho(note, fg="yellow", err=True)
    return result.exit_code


def _known_note(options: Options) -> str:
    """Return the note that the command prints about the known bugs in the option --known.

    The note says how many bugs are excused, and which faults and options are not drawn because of
    them. Returns "" if the option names no bugs.
    """
    from splitbrain.harness.drawing.schedule_drawing import without_triggers
    from splitbrain.harness.known_bugs.catalogue import excused_bugs
    from splitbrain.harness.systems.factory import tested_version

    if not options.known:
        return ""
    versions = tested_version(options)
    bugs = excused_bugs(options.known, versions)
    if not bugs:
        return f"--known: no listed bug of {versions.get('etcd', options.system)} is excused"
    drawn = without_triggers(options)
    changed = [f"-o {name}={value}" for name, value in drawn.workload_options.items()
               if options.workload_options.get(name) != value]
    left_out = [*(kind for kind in options.nemesis if kind not in drawn.nemesis), *changed]
    return (
        f"--known: {len(bugs)} bugs of etcd {versions['etcd']} are excused"
        + (f"; not drawn because of them: {', '.join(left_out)}" if left_out else "")
    )


def _mutant_note(schedule: Schedule) -> str:
    """Return why a run of real processes can fail to show its planted bug, as a note to print.

    Returns "" in three cases:
    - the run is simulated;
    - it has no planted bug;
    - real processes with the same workload and faults are known to show the bug.
    """
    from splitbrain.harness.mutants.reach import why_out_of_reach
    from splitbrain.harness.schedule.schedule import SIMULATED

    options = schedule.options
    if not options.mutant or options.system == SIMULATED:
        return ""
    return why_out_of_reach(options.mutant, options.workload, options.nemesis)
