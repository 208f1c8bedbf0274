"""`splitbrain serve`: browse the store of runs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("serve")
@click.option("--store", default=None, metavar="DIR",
              help="The folder of runs.  [default: that of [tool.splitbrain], or store]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=8080, show_default=True, help="0: any free one.")
def command(store: str | None, host: str, port: int) -> int:
    """Browse the store of runs in a web browser, until Ctrl-C.

    \b
    Example: splitbrain serve --store store --port 8080
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.report.serve import serve
    from splitbrain.harness.schedule.options import read_options

    folder = Path(store or read_options({}).store)
    if not folder.is_dir():
        raise BadArguments(f"no store of runs at {folder}: `splitbrain run` makes one")
    serve(folder, host, port)
    return 0
