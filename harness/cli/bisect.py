"""`splitbrain bisect`: finds the commit that made a schedule fail."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("bisect", short_help="Find the commit that made a schedule fail.")
@click.argument("schedule", type=click.Path(exists=True, path_type=Path))
@click.option("--good", required=True, metavar="COMMIT", help="A commit whose run is valid.")
@click.option("--bad", default="HEAD", show_default=True, metavar="COMMIT",
              help="A later commit whose run is invalid.")
@click.option("--repository", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default=Path(), metavar="DIR", help="The git repository.  [default: this folder]")
@click.option("--times", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Replay up to N times at each commit, because real processes do not repeat the"
                   " interleaving.")
@click.option("--build", default="", metavar="COMMAND",
              help="A shell command to run at each commit before the replay. If it fails, the"
                   " commit is skipped.")
def command(
    schedule: Path, good: str, bad: str, repository: Path, times: int, build: str
) -> int:
    """Find the first commit at which SCHEDULE fails, between a good and a bad commit.

    SCHEDULE is a .schedule file or the folder of a run; a shrunk .schedule file is best. The
    repository must contain the system under test: this project's own store, or a system of
    the user, which the schedule names as package.module:Class. The command checks out each
    commit that it tries into a temporary folder, and replays the schedule there. A commit is
    skipped if its run cannot be started or its verdict is unknown.

    \b
    Examples:
      splitbrain bisect --good v0.1.0 store/groups/mvcc-wrong-answer-a8f0.schedule
      splitbrain bisect --good 1a2b3c4 --bad main --times 10 --build "make" my.schedule

    \b
    Exit codes: 0 the commit was found, 254 bad arguments, or the schedule fails at the good
    commit or does not fail at the bad one, 255 the harness failed.
    """
    from splitbrain.harness.failures.bisection import bisect, replay_judge

    judge = replay_judge(schedule.resolve(), times, build)
    first = None
    for tried in bisect(repository, good, bad, judge):
        click.echo(f"{tried.state:5} {tried.commit} {tried.subject}")
        if tried.state == "bad":
            first = tried
    assert first is not None  # otherwise `bisect` has raised an error
    click.echo(f"first bad commit: {first.commit} {first.subject}")
    return 0
