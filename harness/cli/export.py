"""`splitbrain export`: writes a history or a run in the format of another tool."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from splitbrain.harness.counted import counted
from splitbrain.harness.errors import BadArguments


@click.command("export", short_help="Write a history for Jepsen, or a run for Perfetto.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["jepsen-edn", "perfetto"]),
              default="jepsen-edn", show_default=True, help="The format to write.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False),
              metavar="FILE", help="The file to write.")
def command(path: Path, form: str, output: Path) -> int:
    """Write a history as Jepsen's EDN, or a run as a trace of Perfetto.

    PATH is the folder of a run, or a history file that `splitbrain check` reads. Operations on
    single keys become reads, writes and compare-and-swaps of registers, with values
    [key value]. Operations on sets become adds and reads of sets. In runs of the workloads
    `append` and `wr`, each operation becomes a transaction. Knossos and Elle can judge the EDN
    file.

    With --format perfetto, PATH is the folder of a run, and the trace contains its operations,
    faults, anomalies and the steps of each write on each member. This format needs the extra
    `perfetto`. Open the file with ui.perfetto.dev or with Perfetto's trace processor.

    \b
    Examples:
      splitbrain export store/latest -o history.edn
      splitbrain export store/latest --format perfetto -o run.pftrace
      splitbrain export transactions.jsonl --format jepsen-edn -o history.edn

    \b
    Exit codes: 0 written, 254 bad arguments, 255 the harness failed.
    """
    if form == "perfetto":
        click.echo(f"{output}: {_perfetto(path, output):,} operations, {form}")
        return 0
    from splitbrain.harness.judging.edn_export import export
    from splitbrain.harness.judging.history_file import find_history
    from splitbrain.harness.store.run_folder import RunFolder

    file = find_history(path) or RunFolder(path).history
    count = export(file, output)
    click.echo(f"{output}: {counted(count, 'operation')}, {form}")
    return 0


def _perfetto(path: Path, output: Path) -> int:
    if find_spec("perfetto") is None:
        raise BadArguments("--format perfetto: pip install 'splitbrain[perfetto]'")
    from splitbrain.harness.report.perfetto.export import export_perfetto

    return export_perfetto(path, output)
