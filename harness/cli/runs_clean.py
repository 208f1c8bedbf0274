"""`splitbrain runs clean`: removes old runs from the store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from splitbrain.harness.cli.time_option import duration
from splitbrain.harness.counted import counted


@click.command("clean", short_help="Remove old runs from the store.")
@click.option("--store", type=click.Path(file_okay=False, path_type=Path), default=None,
              help="The folder of runs.  [default: `store` of [tool.splitbrain], or ./store]")
@click.option("--keep", type=click.IntRange(min=0), default=10, show_default=True, metavar="N",
              help="Keep the N newest runs of each test.")
@click.option("--older-than", callback=duration, default=None, metavar="TIME",
              help="Remove only runs that started longer ago than TIME, such as 90m, 12h, 7d or "
                   "2w.  [default: runs of any age]")
@click.option("--valid", "only_valid", is_flag=True, help="Remove only valid runs.")
@click.option("--dry-run", is_flag=True,
              help="Print the runs that would be removed, but remove nothing.")
def clean(
    store: Path | None, keep: int, older_than: timedelta | None, only_valid: bool, dry_run: bool
) -> int:
    """Remove old runs from the store, with everything in their folders.

    A run that is still in progress is never removed. If the link store/latest points to a
    removed run, the command changes it to the newest remaining run.

    \b
    Examples:
      splitbrain runs clean
      splitbrain runs clean --older-than 7d --valid
      splitbrain runs clean --keep 0 --dry-run

    \b
    Exit codes: 0 done, 254 bad arguments, 255 the harness failed.
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.schedule.command_line import shown
    from splitbrain.harness.schedule.options import read_options
    from splitbrain.harness.store.old_runs import old_runs, remove_runs

    store = store or Path(read_options({}).store)
    if not store.is_dir():
        raise BadArguments(f"--store {store}: the folder does not exist")
    removable = list(old_runs(store, keep=keep, older_than=older_than, only_valid=only_valid))
    for run in removable:
        click.echo(f"{shown(run.folder.absolute())}  {run.size_bytes / 2**20:,.1f} MiB")
    if not dry_run:
        try:
            remove_runs(store, removable)
        except (OSError, ValueError) as problem:
            raise BadArguments(f"a run cannot be removed: {problem}") from problem
    size = sum(run.size_bytes for run in removable) / 2**20
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{counted(len(removable), 'run')} {verb}, {size:,.1f} MiB")
    return 0
