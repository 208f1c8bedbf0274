"""`splitbrain serve`: serves the store of runs to a web browser."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("serve", short_help="Browse the runs in a web browser.")
@click.option("--store", default=None, metavar="DIR",
              help="The folder of runs.  [default: that of [tool.splitbrain], or store]")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True,
              help="The TCP port to listen on; 0 selects a free one.")
def command(store: str | None, host: str, port: int) -> int:
    """Serve a table of all runs and their reports over HTTP, until Ctrl-C.

    \b
    Example:
      splitbrain serve --store store --port 8080
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.report.serve import serve
    from splitbrain.harness.schedule.options import read_options

    folder = Path(store or read_options({}).store)
    if not folder.is_dir():
        raise BadArguments(f"there is no store of runs at {folder}: `splitbrain run` creates one")
    serve(folder, host, port)
    return 0
