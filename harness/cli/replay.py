"""`splitbrain replay PATH`: runs a recorded schedule again."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("replay", short_help="Run a recorded schedule again.")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--times", default=1, show_default=True, metavar="N",
              help="Repeat up to N times, until a run is not valid.")
@click.option("--system", default=None, metavar="NAME",
              help="Run the schedule on this system.  [default: the recorded one]")
@click.option("--etcd-binary", default=None, metavar="PATH",
              help="The etcd binary, for --system etcd.  [default: the recorded one]")
@click.option("--store", default=None, metavar="DIR",
              help="The folder of runs.  [default: the recorded one]")
@click.option("--quiet", is_flag=True, help="Print only the outcome, without progress.")
def command(
    path: Path, times: int, system: str | None, etcd_binary: str | None, store: str | None,
    quiet: bool,
) -> int:
    """Run the schedule of PATH again.

    PATH is the folder of a run, a file in that folder such as repro.json or report.html, or a
    .schedule file, which `splitbrain shrink` writes. A .schedule file that names no system
    runs in simulation, unless --system selects a system.

    The schedule contains the members, the operations, and the faults with their times, so a
    replay draws nothing at random. Real processes repeat the schedule, not the interleaving.
    A bug that depends on the interleaving may need several tries, see --times.

    \b
    Examples:
      splitbrain replay store/latest
      splitbrain replay store/python_node-register/20260101T120000Z-42 --times 10
      splitbrain replay my.schedule --system python_node --times 3

    \b
    Exit codes: 0 the last run is valid, 1 invalid, 2 unknown; 254 bad arguments, 255 the
    harness failed.
    """
    from splitbrain.harness.cli.outcome_text import print_outcome
    from splitbrain.harness.cli.schedule_argument import schedule_from
    from splitbrain.harness.cli.terminal_progress import progress_for
    from splitbrain.harness.drive.progress import Silent
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.runs.execute import execute
    from splitbrain.harness.store.records import PROCESS_NOTE

    if times < 1:
        raise BadArguments(f"--times {times}: expected at least 1")
    options = {"system": system, "etcd_binary": etcd_binary, "store": store}
    schedule = schedule_from(path, {name: one for name, one in options.items() if one is not None})
    if schedule.system != "simulated":
        click.echo(PROCESS_NOTE)
    for count in range(1, times + 1):
        if times > 1:
            click.echo(f"try {count} of {times}")
        result = execute(schedule, Silent() if quiet else progress_for())
        print_outcome(result)
        if result.valid is not True or result.ended == "interrupted":
            break
    return result.exit_code
