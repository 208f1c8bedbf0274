"""`splitbrain check P`: judge what was recorded, by us or by somebody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from splitbrain.harness.cli.judging_progress import TerminalJudging
    from splitbrain.harness.judging.history_file import Checked
    from splitbrain.harness.judging.run_result import RunResult


@click.command("check", short_help="Judge a recorded run, or anybody's history, again.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--checker", "names", multiple=True, metavar="NAME",
              help="Only this checker; may be given again.  [default: those of the workload, or "
                   "of the model]")
@click.option("--model", "models", multiple=True, metavar="NAME",
              help="What a history of others is of (register, cas-register, kv, mutex, set, "
                   "counter, unique-ids, queue, list-append, rw-register), and what is asked of "
                   "transactions (strict-serializable, serializable, snapshot-isolation …).  "
                   "[default: told by its operations; strict-serializable]")
@click.option("--format", "form", default="", metavar="NAME",
              help="Insist on a format: splitbrain, transactions, json-lines, porcupine-kv, "
                   "jepsen-edn, jepsen-text, jepsen-log.  [default: told by the content]")
@click.option("--keyed/--no-keyed", default=None,
              help="Whether values are pairs [key, value] of independent objects.  [default: told "
                   "by the values]")
@click.option("--search-limit", type=float, default=None, metavar="S",
              help="How long a checker that searches may do so.  [default: 60, or the run's]")
@click.option("--budget", default="", metavar="LIMITS",
              help="Past it the history is invalid: p99=200ms,availability=99%,recovery=5s.  "
                   "[default: the run's]")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), metavar="OUT.html",
              help="Draw what is wrong into a page of its own.")
@click.option("--no-report", is_flag=True, help="Write no new report.html.")
def command(
    path: Path, names: tuple[str, ...], models: tuple[str, ...], form: str, keyed: bool | None,
    search_limit: float | None, budget: str, picture: Path | None, no_report: bool,
) -> int:
    """Judge a recorded run again, or a history of anybody.

    PATH is a run's folder (such as store/latest), whose results.json and report.html
    are written anew, or a file: a history.jsonl of ours, Jepsen's history.edn or
    history.txt (or the folder of the test), porcupine's logs, plain JSON Lines. Of a
    bare file, what only members' states and traces can show is left out.

    Ctrl-C ends the judging: verdicts so far stand, the rest is unknown.

    \b
    Examples:
      splitbrain check store/latest
      splitbrain check old/history.jsonl --checker linearizable
      splitbrain check ~/jepsen/store/latest/history.edn --picture wrong.html
      splitbrain check log.jsonl --model cas-register

    \b
    Exit codes: 0 valid, 1 invalid, 2 unknown, 254 bad arguments, 255 failure.
    """
    import msgspec

    from splitbrain.harness.cli.judging_progress import TerminalJudging
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.judging.history_file import (
        Asked,
        check_file,
        history_file,
        models_named,
    )
    from splitbrain.harness.schedule.options import Options, check

    given = {"search_limit_s": search_limit, "budget": budget or None}
    changed = {name: value for name, value in given.items() if value is not None}
    options = msgspec.structs.replace(Options(), **changed)
    check(options)
    model, consistency = models_named(models)
    _writable(picture)
    file = history_file(path)
    if file is None and (models or form or keyed is not None):
        raise BadArguments(
            f"{path} is the folder of a run of ours: --model, --format and --keyed are for "
            "histories of others"
        )
    with TerminalJudging() as watch:
        if file is None:
            result = _check_run(path.resolve(), names, changed, watch, no_report)
        else:
            asked = Asked(form, model, consistency, names, keyed, options)
            checked = check_file(file, asked, watch)
    if file is None:
        return _tell_run(result, picture)
    return _tell_file(checked, picture)


def _writable(picture: Path | None) -> None:
    from splitbrain.harness.errors import BadArguments

    if picture is not None and not picture.absolute().parent.is_dir():
        raise BadArguments(f"--picture {picture}: there is no folder {picture.absolute().parent}")


def _check_run(
    folder: Path, names: tuple[str, ...], changed: dict[str, Any], watch: TerminalJudging,
    no_report: bool,
) -> RunResult:
    """Judge again; of other checkers or other limits than the run's own nothing is written."""
    import dataclasses

    import msgspec

    from splitbrain.harness.judging.judge import checkers_of, judge
    from splitbrain.harness.report.write import write_report
    from splitbrain.harness.store.run_folder import RunFolder

    record = RunFolder(folder).read_record()
    others = bool(names or changed)
    record = msgspec.structs.replace(
        record, options=msgspec.structs.replace(record.options, **changed)
    )
    checkers = checkers_of(record.options, names) if others else None
    result = judge(RunFolder(folder), checkers, watch, record)
    if no_report or others or watch.interrupted:
        return result
    watch.show("writing the report")
    return dataclasses.replace(result, report=write_report(folder))


def _tell_run(result: RunResult, picture: Path | None) -> int:
    from splitbrain.harness.cli.outcome_text import print_outcome

    print_outcome(result)
    _tell_memory()
    if picture is not None:
        from splitbrain.harness.report.anomaly.check_pictures import draw_run

        _draw(lambda: draw_run(result, picture))
    return result.exit_code


def _tell_file(checked: Checked, picture: Path | None) -> int:
    from splitbrain.harness.cli.outcome_text import WORDS, print_verdicts

    read = checked.recorded
    of = f", {read.model}" if read.model else ""
    if len(read):
        click.echo(f"{read.form}{of}: {len(read):,} operations")
    print_verdicts(verdict for verdict in checked.verdicts if verdict.applies)
    beside = [verdict.checker for verdict in checked.verdicts if not verdict.applies]
    if beside:
        click.echo(f"  nothing to judge for {', '.join(beside)}")
    word, colour = WORDS[checked.valid]
    click.echo("verdict: " + click.style(word.lower(), fg=colour, bold=True))
    click.echo(
        f"seconds: {checked.read_s + checked.judged_s:.2f} ({checked.read_s:.2f} reading, "
        f"{checked.judged_s:.2f} judging)"
    )
    _tell_memory()
    if picture is not None:
        from splitbrain.harness.report.anomaly.check_pictures import draw_file

        _draw(lambda: draw_file(checked, picture))
    return {True: 0, False: 1, None: 2}[checked.valid]


def _tell_memory() -> None:
    from splitbrain.harness.cli.judging_progress import peak_memory_bytes

    click.echo(f"peak memory: {peak_memory_bytes() / 2**20:,.0f} MiB")


def _draw(draw: Callable[[], Path | None]) -> None:
    """Tell what became of the picture. An interrupt takes that alone, and no verdict."""
    try:
        drawn = draw()
    except KeyboardInterrupt:
        click.echo("picture: none, it was interrupted")
        return
    if drawn is None:
        click.echo("picture: none, for nothing was found wrong that can be drawn")
    else:
        click.echo(f"picture: {drawn}")
