"""`splitbrain replay P`: run again what P recorded."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("replay", short_help="Run again what was recorded.")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--times", default=1, show_default=True, metavar="N",
              help="Run up to N times, until one is not valid.")
@click.option("--system", default=None, metavar="NAME",
              help="Run the schedule on this system instead.  [default: as recorded]")
@click.option("--etcd-binary", default=None, metavar="PATH",
              help="The binary of --system etcd.  [default: as recorded]")
@click.option("--store", default=None, metavar="DIR",
              help="The folder of runs.  [default: as recorded]")
@click.option("--quiet", is_flag=True, help="Show nothing but the verdict.")
def command(
    path: Path, times: int, system: str | None, etcd_binary: str | None, store: str | None,
    quiet: bool,
) -> int:
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
    from splitbrain.harness.cli.outcome_text import print_outcome
    from splitbrain.harness.cli.schedule_argument import schedule_from
    from splitbrain.harness.cli.terminal_progress import progress_for
    from splitbrain.harness.drive.progress import Silent
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.runs.execute import execute
    from splitbrain.harness.store.records import PROCESS_NOTE

    if times < 1:
        raise BadArguments(f"--times {times}: expected at least 1")
    given = {"system": system, "etcd_binary": etcd_binary, "store": store}
    schedule = schedule_from(path, {name: one for name, one in given.items() if one is not None})
    if schedule.system != "simulated":
        click.echo(PROCESS_NOTE)
    for count in range(1, times + 1):
        if times > 1:
            click.echo(f"try {count} of {times}")
        result = execute(schedule, Silent() if quiet else progress_for())
        print_outcome(result)
        if result.valid is not True:
            break
    return result.exit_code
