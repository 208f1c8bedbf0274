"""`splitbrain export`: writes a history in the format of another tool."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export", short_help="Write a history in Jepsen's format.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["jepsen-edn"]), default="jepsen-edn",
              show_default=True, help="The format to write.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False),
              metavar="FILE", help="The file to write.")
def command(path: Path, form: str, output: Path) -> int:
    """Write a history as Jepsen's EDN, so that Knossos and Elle can judge it too.

    PATH is the folder of a run, or a file that `splitbrain check` reads. Operations on single
    keys become reads, writes and compare-and-swaps of registers, with values [key value].
    Operations on sets become adds and reads of sets. Operations of the workloads append and
    wr become transactions.

    \b
    Examples:
      splitbrain export store/latest -o history.edn
      splitbrain export transactions.jsonl --format jepsen-edn -o history.edn

    \b
    Exit codes: 0 written, 254 bad arguments, 255 failure.
    """
    from splitbrain.harness.judging.export import export
    from splitbrain.harness.judging.history_file import find_history
    from splitbrain.harness.store.run_folder import RunFolder

    file = find_history(path) or RunFolder(path).history
    count = export(file, output)
    click.echo(f"{output}: {count:,} operations, {form}")
    return 0
