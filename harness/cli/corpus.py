"""`splitbrain corpus`: saves runs that pytest repeats before it draws new seeds."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("corpus", short_help="Save runs that pytest repeats first.")
def command() -> None:
    """Save runs that found a bug.

    The corpus is a folder of saved runs. The pytest plugin repeats each of them before it
    draws new seeds.
    """


@command.command("add", short_help="Save a run in the corpus.")
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--why", default="", metavar="TEXT",
              help="A sentence that describes what the run found.  [default: its first anomaly]")
@click.option("--name", default="", metavar="NAME",
              help="The name of the saved files, without suffix.  [default: TEST-SEED]")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path),
              default=Path("histories/corpus"), show_default=True,
              help="The folder of saved runs, which pytest's setting splitbrain_corpus names.")
def add(run: Path, why: str, name: str, folder: Path) -> int:
    """Save a run in the corpus. RUN is its folder, a file in it, or a .schedule file.

    If the run was drawn from options and a seed, the options and the seed are saved in NAME.json. A
    later version of Splitbrain may draw another schedule from them. Therefore, if the run is a
    simulation of at most 2,000 operations, its schedule is saved in NAME.schedule, too. If the run
    was not drawn from a seed, only NAME.schedule is written.

    \b
    Examples:
      splitbrain corpus add store/latest
      splitbrain corpus add store/shrunk/compare_lost-7.schedule --why "a compare was ignored"

    \b
    Exit codes: 0 saved, 254 bad arguments or a file of that name exists, 255 the harness failed.
    """
    from splitbrain.harness.failures.corpus import add_to_corpus
    from splitbrain.harness.schedule.command_line import shown
    from splitbrain.harness.store.schedule_source import schedule_at

    path = run.resolve()
    schedule = schedule_at(path)
    name = name or f"{schedule.options.test_name()}-{schedule.seed}"
    for file in add_to_corpus(schedule, folder, name, why or _first_anomaly(path)):
        click.echo(f"saved: {shown(file.resolve())}")
    return 0


def _first_anomaly(path: Path) -> str:
    """Return the sentence of the first anomaly of the run at `path`.

    If the run has no anomaly, a fixed sentence is returned.
    """
    from splitbrain.harness.store.run_folder import RunFolder

    results = RunFolder(path if path.is_dir() else path.parent).read_results()
    for verdict in results.verdicts if results is not None else ():
        for anomaly in verdict.anomalies:
            text = f"{verdict.checker}: {anomaly.kind}: {anomaly.because}"
            return " ".join(text.split())[:300]
    return "saved by `splitbrain corpus add`"
