"""`splitbrain corpus`: keep runs that pytest repeats before all others."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("corpus", short_help="Keep runs that pytest repeats first.")
def command() -> None:
    """Keep runs that once found something.

    The pytest plugin repeats the saved runs of the corpus folder before it draws new seeds.
    """


@command.command("add", short_help="Save a run in the corpus.")
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--why", default="", metavar="TEXT",
              help="A sentence that says what the run found.  [default: its first anomaly]")
@click.option("--name", default="", metavar="NAME",
              help="The name of the files.  [default: the folder's test and seed]")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path),
              default=Path("histories/corpus"), show_default=True,
              help="The folder of saved runs (the pytest option splitbrain_corpus).")
def add(run: Path, why: str, name: str, folder: Path) -> int:
    """Save RUN in the corpus: the folder of a run, a file in it, or a .schedule file.

    A run that its options and seed give is saved as a seed, NAME.json; a short simulated one
    also as NAME.schedule, because a later version may draw another run from the same seed.
    Any other run is saved as NAME.schedule.

    \b
    Examples:
      splitbrain corpus add store/latest
      splitbrain corpus add store/shrunk/compare_lost-7.schedule --why "a compare was ignored"
    """
    from splitbrain.harness.campaign.corpus import add_to_corpus
    from splitbrain.harness.schedule.command_line import shown
    from splitbrain.harness.store.schedule_source import schedule_at

    path = run.resolve()
    schedule = schedule_at(path)
    name = name or f"{schedule.options.test_name()}-{schedule.seed}"
    for file in add_to_corpus(schedule, folder, name, why or _first_anomaly(path)):
        click.echo(f"saved: {shown(file.resolve())}")
    return 0


def _first_anomaly(path: Path) -> str:
    """What the run found, from its results; a plain sentence if there are none."""
    from splitbrain.harness.store.run_folder import RunFolder

    results = RunFolder(path if path.is_dir() else path.parent).read_results()
    for verdict in results.verdicts if results is not None else ():
        for anomaly in verdict.anomalies:
            text = f"{verdict.checker}: {anomaly.kind}: {anomaly.because}"
            return " ".join(text.split())[:300]
    return "saved by `splitbrain corpus add`"
