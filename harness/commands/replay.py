"""`splitbrain replay P`: run again what P recorded."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("replay", short_help="Run again what was recorded.")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--times", default=1, show_default=True, metavar="N",
              help="Run up to N times, until one is not valid.")
@click.option("--store", default=None, metavar="DIR",
              help="The folder of runs.  [default: as recorded]")
@click.option("--quiet", is_flag=True, help="Show nothing but the verdict.")
def command(path: Path, times: int, store: str | None, quiet: bool) -> int:
    """Run again what PATH recorded: a run's folder, its repro.json, or its report.

    The plan (members, operations, faults and their times) is read, and nothing is
    drawn. Real processes repeat that plan, not the interleaving that the machine gave
    them: a bug that needs luck may need several tries, see --times.

    \b
    Examples:
      splitbrain replay store/latest
      splitbrain replay store/python_node-register/20260101T120000Z-42 --times 10

    \b
    Exit codes: those of the last run: 0 valid, 1 invalid, 2 unknown, 254, 255.
    """
    import msgspec

    from harness.commands.outcome_text import tell
    from harness.errors import BadArguments
    from harness.progress import Silent, progress_for
    from harness.reproduce import read_repro
    from harness.runner import run_sync

    if times < 1:
        raise BadArguments(f"--times {times}: expected at least 1")
    repro, plan = read_repro(path.resolve())
    options = repro.options
    if store is not None:
        options = msgspec.structs.replace(options, store=store)
    if not repro.byte_for_byte:
        click.echo(repro.note)
    for count in range(1, times + 1):
        if times > 1:
            click.echo(f"try {count} of {times}")
        result = run_sync(options, plan, progress=Silent() if quiet else progress_for())
        tell(result)
        if result.valid is not True:
            break
    return result.exit_code
