"""`splitbrain runs`: finds runs in the store, and manages them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from splitbrain.harness.cli import runs_clean
from splitbrain.harness.cli.time_option import moment
from splitbrain.harness.counted import counted

if TYPE_CHECKING:
    from splitbrain.harness.store.database.query import Filter, Page
    from splitbrain.harness.store.run_row import RunRow

F = TypeVar("F", bound=Callable[..., Any])
COLOURS = {"valid": "green", "invalid": "red", "unknown": "yellow"}
SUBJECT = ("since", "system", "workload", "mutant")
"""The filters that both `splitbrain runs` and `splitbrain runs trends` have."""

store_option = click.option(
    "--store", type=click.Path(file_okay=False, path_type=Path), default=None,
    help="The folder of runs.  [default: `store` of [tool.splitbrain], or ./store]",
)


def subject_options(command: F) -> F:
    """Add to `command` the options that select runs by time, system, workload and planted bug."""
    options = (
        click.option("--since", callback=moment, default=None, metavar="TIME",
                     help="Runs that started within TIME, such as 12h or 2d, or since a date."),
        click.option("--system", default="", metavar="NAME", help="Runs of this system."),
        click.option("--workload", default="", metavar="NAME", help="Runs of this workload."),
        click.option("--mutant", default="", metavar="NAME", help="Runs with this planted bug."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group("runs", short_help="Find runs, show trends, remove old runs.",
             invoke_without_command=True)
@click.option("--valid", is_flag=True, help="Valid runs.")
@click.option("--invalid", is_flag=True, help="Invalid runs.")
@click.option("--unknown", is_flag=True, help="Runs with the verdict unknown.")
@subject_options
@click.option("--until", callback=moment, default=None, metavar="TIME",
              help="Runs that started before TIME.")
@click.option("--test", default="", metavar="NAME", help="Runs of this test.")
@click.option("--nemesis", default="", metavar="KINDS",
              help="Runs with these kinds of faults, and possibly others.")
@click.option("--members", type=click.IntRange(min=0), default=0, metavar="N",
              help="Runs with N members.")
@click.option("--version", default="", metavar="V", help="Runs of this version of the system.")
@click.option("--commit", default="", metavar="HASH",
              help="Runs of the commit that begins with HASH.")
@click.option("--checker", default="", metavar="NAME",
              help="Runs whose first anomaly was found by this checker.")
@click.option("--kind", default="", metavar="KIND", help="Runs whose first anomaly is of KIND.")
@click.option("--campaign", default="", metavar="NAME", help="Runs of this campaign.")
@click.option("--group", default="", metavar="NAME", help="Runs of this group of failures.")
@click.option("--seed", type=click.IntRange(-(2**63), 2**63 - 1), default=None,
              metavar="N", help="Runs of this seed.")
@click.option("--search", "text", default="", metavar="WORDS",
              help="Runs whose first anomaly contains words that begin with WORDS.")
@click.option("--sort", type=click.Choice(("started", "rate", "p99_ms")), default="started",
              show_default=True, help="Sort the runs by this value, the highest first.")
@click.option("--ascending", is_flag=True, help="Show the lowest value first.")
@click.option("--limit", type=click.IntRange(0, 10**9), default=20, show_default=True, metavar="N",
              help="Show at most N runs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@click.pass_context
def command(
    context: click.Context, /, store: Path | None, sort: Any, ascending: bool, limit: int,
    as_json: bool, **wanted: Any,
) -> int:
    """Find runs in the store by verdict, time, system, faults, version or first anomaly.

    A run must match all given filters. If several of --valid, --invalid and --unknown are given,
    the run must have one of these verdicts. The command searches the database `runs.sqlite` in the
    store, to which each run is added when it ends.

    \b
    Examples:
      splitbrain runs --invalid --since 2d --system etcd --workload watch
      splitbrain runs --unknown --json
      splitbrain runs --nemesis kill,disk --sort p99_ms
      splitbrain runs trends --by commit --since 4w

    \b
    Exit codes: 0 done, 254 bad arguments, 255 the harness failed.
    """
    if context.invoked_subcommand is not None:
        _refuse_filters(context)
        return 0
    from splitbrain.harness.store.database.database import open_database
    from splitbrain.harness.store.database.query import find_runs

    folder = store_folder(store)
    with open_database(folder) as connection:
        page = find_runs(
            connection, _filter(wanted), sort=sort, descending=not ascending, limit=limit
        )
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(page)).decode())
    else:
        _print_page(folder, page)
    return 0


def _refuse_filters(context: click.Context) -> None:
    from click.core import ParameterSource

    from splitbrain.harness.errors import BadArguments

    given = [
        name for name in context.params
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    ]
    if given:
        raise BadArguments(
            f"options before {context.invoked_subcommand}: write the options of "
            f"`splitbrain runs {context.invoked_subcommand}` after it"
        )


def _filter(wanted: dict[str, Any]) -> Filter:
    from splitbrain.harness.schedule.options import parse_list
    from splitbrain.harness.store.database.query import WORDS, Filter

    verdicts = tuple(word for word in WORDS if wanted.pop(word, False))
    kinds = wanted.pop("nemesis", "")
    nemesis = tuple(parse_list("nemesis", kinds)) if kinds else ()
    return Filter(verdicts=verdicts, nemesis=nemesis, **wanted)


def store_folder(store: Path | None) -> Path:
    """Return the absolute path of the store. None means the store of the options.

    Raises BadArguments if the folder does not exist.
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.schedule.options import read_options

    folder = store or Path(read_options({}).store)
    if not folder.is_dir():
        raise BadArguments(f"--store {folder}: the folder does not exist")
    return folder.absolute()


def _print_page(folder: Path, page: Page) -> None:
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in page.counts.items() if count)
    total = sum(page.counts.values())
    count = len(page.runs)
    shown = "" if count == total else f"; the first {count:,} follow"
    if count == 1 and total > 1:
        shown = "; the first one follows"
    click.echo(counted(total, "run") + (f": {verdicts}" if verdicts else "") + shown)
    for run in page.runs:
        click.echo("\n".join(_lines(folder, run)))


def _lines(folder: Path, run: RunRow) -> Iterator[str]:
    from splitbrain.harness.schedule.command_line import shown

    word = run.verdict if run.verdict == "valid" else run.verdict.upper()
    what = [run.test, ",".join(run.nemesis) or "no faults", f"seed {run.seed}"]
    measured = [
        f"{run.rate:,.0f}/s" if run.rate is not None else "",
        f"p99 {run.p99_ms:,.3g} ms" if run.p99_ms is not None else "",
        run.version, run.commit,
    ]
    yield (
        f"{click.style(f'{word:8}', fg=COLOURS[run.verdict])} {_time(run.started)}  "
        + "  ".join(one for one in (*what, *measured) if one)
    )
    if run.because:
        found = ": ".join(one for one in (run.checker, run.kind, run.because) if one)
        yield f"    {found}"
    yield f"    {shown(folder / run.folder) if run.folder else run.reproduce}"


def _time(seconds: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


@click.command("rebuild", short_help="Make the database again from the folders.")
@store_option
def rebuild(store: Path | None) -> int:
    """Make the database of runs again from the folders in the store.

    This is needed after you copied folders of runs into the store, or removed folders without
    `splitbrain runs clean`.

    \b
    Exit codes: 0 done, 254 bad arguments, 255 the harness failed.
    """
    from splitbrain.harness.store.database.database import rebuild as rebuild_database

    click.echo(counted(rebuild_database(store_folder(store)), "run"))
    return 0


@click.command("trends", short_help="Show verdicts, rate and latency over time.")
@click.option("--by", type=click.Choice(("day", "version", "commit")), default="day",
              show_default=True, help="Group the runs by this property.")
@subject_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
def show_trends(by: Any, as_json: bool, store: Path | None, **wanted: Any) -> int:
    """Show the number of runs by verdict, and the means of rate and latency, over time.

    Rates and latencies are means over the runs. Each run has one function that was answered most
    often, such as put. The latency of the run is the latency of this function. In simulated
    runs, rates and latencies are in virtual time.

    \b
    Examples:
      splitbrain runs trends --system etcd --workload kv
      splitbrain runs trends --by commit --since 4w --json

    \b
    Exit codes: 0 done, 254 bad arguments, 255 the harness failed.
    """
    from splitbrain.harness.store.database.database import open_database
    from splitbrain.harness.store.database.query import Filter
    from splitbrain.harness.store.database.trends import trends

    with open_database(store_folder(store)) as connection:
        found = list(trends(connection, by, Filter(**wanted)))
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return 0
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        numbers = (
            text.format(value) if value is not None else ""
            for value, text in (
                (one.rate, "{:,.4g}/s"),
                (one.p50_ms, "p50 {:,.4g} ms"),
                (one.p99_ms, "p99 {:,.4g} ms"),
            )
        )
        click.echo(
            f"{one.name or 'unknown':{width}}  {one.runs:>7,} runs  {one.invalid:>5,} invalid  "
            f"{one.unknown:>5,} unknown  " + "  ".join(number for number in numbers if number)
        )
    if not found:
        click.echo("0 runs")
    return 0


for below in (runs_clean.clean, rebuild, show_trends):
    command.add_command(below)
