"""`splitbrain playback`: writes a page on which a simulated run can be played back."""

from __future__ import annotations

from pathlib import Path

import click

PAGE = "playback.html"


@click.command("playback", short_help="Write a page that plays a simulated run back.")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=None,
              metavar="FILE", help="The file to write.  [default: playback.html beside PATH]")
def command(path: Path, output: Path | None) -> int:
    """Write a page that shows the state of every member at every moment of a simulated run.

    PATH is the folder of a run, or a .schedule file. The command simulates the run again, and
    records for each member its role, term, leader, log, commit index and applied index, and
    the messages in flight. On the page, the times of anomalies are marked. The page is a
    single file that opens without a network connection.

    \b
    Examples:
      splitbrain playback store/latest
      splitbrain playback store/groups/mvcc-wrong-answer-a8f0.schedule -o wrong.html

    \b
    Exit codes: 0 written, 254 bad arguments or the run is not simulated, 255 the harness failed.
    """
    from splitbrain.harness.report.playback.page import write_playback
    from splitbrain.harness.schedule.command_line import shown
    from splitbrain.harness.store.schedule_source import schedule_at

    file = path.resolve()
    out = output or (file if file.is_dir() else file.parent) / PAGE
    write_playback(schedule_at(file), out)
    click.echo(shown(out.absolute()))
    return 0
