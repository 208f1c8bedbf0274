"""`splitbrain serve`: shows the runs of a store in a web browser."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("serve", short_help="Browse the runs in a web browser.")
@click.option("--store", default=None, metavar="DIR",
              help="The folder of runs.  [default: `store` of [tool.splitbrain], or ./store]")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535),
              help="The port to listen at; 0 is any free port.")
def command(store: str | None, host: str, port: int) -> int:
    """Show the runs of a store in a web browser, until Ctrl-C ends the command.

    \b
    Example:
      splitbrain serve --store store --port 8080
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.report.web.server import serve
    from splitbrain.harness.schedule.options import read_options

    folder = Path(store or read_options({}).store)
    if not folder.is_dir():
        raise BadArguments(
            f"{folder} is not a folder; expected a folder of runs, which `splitbrain run` makes"
        )
    serve(folder, host, port)
    return 0
