"""`splitbrain check PATH`: judges a recorded run, or a history that another tool recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splitbrain.harness.counted import counted

if TYPE_CHECKING:
    from splitbrain.harness.cli.judging_progress import TerminalJudging
    from splitbrain.harness.judging.history_file import FileResult
    from splitbrain.harness.judging.run_result import RunResult


@click.command("check", short_help="Judge a recorded run, or a history of any tool.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--checker", "names", multiple=True, metavar="NAME",
              help="Run only this checker; see `splitbrain list checkers`. Can be repeated.  "
                   "[default: the checkers of the workload or of the model]")
@click.option("--model", "models", multiple=True, metavar="NAME",
              help="The model of another tool's history: register, cas-register, kv, mutex, set, "
                   "counter, unique-ids, queue, bank, monotonic, list-append or rw-register. A "
                   "name of --consistency-model is also accepted. To give both, repeat the "
                   "option.  [default: inferred from the operations]")
@click.option("--consistency-model", "consistency", default="", metavar="NAME",
              help="The consistency model that transactions must satisfy, such as serializable or "
                   "snapshot-isolation.  [default: strict-serializable]")
@click.option("--initial", default=None, metavar="VALUE",
              help="The initial state of every object in another tool's history, as EDN or JSON "
                   "like the file: the value of a register, the number of a counter, the list of "
                   "elements of a set or a queue, true for a held lock, the total of a bank.  "
                   "[default: empty]")
@click.option("--format", "form", default="", metavar="NAME",
              help="The format of the file: splitbrain, transactions, json-lines, porcupine-kv, "
                   "jepsen-edn, jepsen-text or jepsen-log.  [default: detected from the content]")
@click.option("--keyed/--no-keyed", default=None,
              help="--keyed: each value is a pair [key, value], and each key is an independent "
                   "object. --no-keyed: each value is a plain value.  [default: detected from the "
                   "values]")
@click.option("--search-limit", type=float, default=None, metavar="S",
              help="Time limit of each checker that searches, in seconds. A checker that reaches "
                   "the limit gives the verdict unknown.  [default: that of the run, or 60]")
@click.option("--budget", default="", metavar="LIMITS",
              help="Limits on latency, availability and recovery time, such as "
                   "p99=200ms,availability=99%,recovery=5s. If a limit is exceeded, the history "
                   "is invalid.  [default: that of the run]")
@click.option("--known", "known", multiple=True, metavar="BUG[,BUG…]",
              help="Excuse anomalies that show these known bugs of the tested store: names from "
                   "`splitbrain list known-bugs`, or all.  [default: those of the run]")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), metavar="OUT.html",
              help="Draw the anomalies into an HTML page.")
@click.option("--no-report", is_flag=True, help="Do not write report.html again.")
def command(
    path: Path, names: tuple[str, ...], models: tuple[str, ...], form: str, keyed: bool | None,
    search_limit: float | None, budget: str, picture: Path | None, no_report: bool,
    consistency: str, initial: str | None, known: tuple[str, ...],
) -> int:
    """Judge a recorded run, or a history that another tool recorded.

    PATH is the folder of a run, such as store/latest, or a history file: a history.jsonl of
    Splitbrain, Jepsen's history.edn or history.txt (or the folder of the Jepsen test), a log
    of porcupine, or plain JSON Lines. In the folder of a run, results.json and report.html
    are written again. Both stay unchanged if an option changes the checkers or their limits.
    A file has no traces and no watch streams; the checkers that need them are left out.

    Ctrl-C ends the judging. The verdicts of the checkers that have finished are printed; the
    verdicts of the others are unknown.

    \b
    Examples:
      splitbrain check store/latest
      splitbrain check old/history.jsonl --checker linearizable
      splitbrain check ~/jepsen/store/latest/history.edn --picture wrong.html
      splitbrain check log.jsonl --model cas-register

    \b
    Exit codes: 0 valid, 1 invalid, 2 unknown, 254 bad arguments, 255 the harness failed.
    """
    import msgspec

    from splitbrain.harness.cli.judging_progress import TerminalJudging
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.judging.history_file import (
        FileOptions,
        check_file,
        find_history,
        parse_models,
    )
    from splitbrain.harness.schedule.options import Options, check, parse_list

    given = {
        "search_limit_s": search_limit, "budget": budget or None,
        "known": tuple(parse_list("known", ",".join(known))) or None,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    options = msgspec.structs.replace(Options(), **changed)
    check(options)
    model, consistency = parse_models(models, consistency)
    _check_folder_of(picture)
    file = find_history(path)
    if file is None and (model or consistency or initial or form or keyed is not None):
        raise BadArguments(
            f"{path} is the folder of a Splitbrain run: --model, --consistency-model, --initial, "
            "--format and --keyed apply only to history files"
        )
    if file is not None and known:
        raise BadArguments(
            f"--known with the history file {path}: the version of the tested store is not known; "
            "--known applies only to the folder of a run"
        )
    with TerminalJudging() as observer:
        if file is None:
            result = _check_run(path.resolve(), names, changed, observer, no_report)
        else:
            file_options = FileOptions(
                form=form, model=model, consistency=consistency, checkers=names, keyed=keyed,
                options=options, initial=initial,
            )
            checked = check_file(file, file_options, observer)
    if file is None:
        return _print_run(result, picture)
    return _print_file(checked, picture)


def _check_folder_of(picture: Path | None) -> None:
    """Raise BadArguments if the folder in which `picture` is to be written does not exist."""
    from splitbrain.harness.errors import BadArguments

    folder = None if picture is None else picture.absolute().parent
    if folder is not None and not folder.is_dir():
        raise BadArguments(f"--picture {picture}: the folder {folder} does not exist")


def _check_run(
    folder: Path, names: tuple[str, ...], changed: dict[str, Any], observer: TerminalJudging,
    no_report: bool,
) -> RunResult:
    """Judge a run again, and write its `results.json` and `report.html`.

    `names` are the checkers to use; if it is empty, the checkers of the run are used. `changed`
    contains limits that replace those of the run. If a checker or a limit is given, no file is
    written, because the stored verdict is always that of the run's own checkers and limits. With
    `no_report`, no report is written.
    """
    import dataclasses

    import msgspec

    from splitbrain.harness.judging.judge import checkers_of, judge
    from splitbrain.harness.report.write_report import write_report
    from splitbrain.harness.store.database.database import record_again
    from splitbrain.harness.store.run_folder import RunFolder

    record = RunFolder(folder).read_record()
    others = bool(names or changed)
    record = msgspec.structs.replace(
        record, options=msgspec.structs.replace(record.options, **changed)
    )
    checkers = checkers_of(record.options, names) if others else None
    result = judge(RunFolder(folder), checkers, observer, record)
    if not (others or observer.interrupted):
        record_again(folder)
    if no_report or others or observer.interrupted:
        return result
    observer.show("writing the report")
    return dataclasses.replace(result, report=write_report(folder))


def _print_run(result: RunResult, picture: Path | None) -> int:
    from splitbrain.harness.cli.outcome_text import print_outcome

    print_outcome(result)
    _print_memory()
    if picture is not None:
        from splitbrain.harness.report.anomaly.check_pictures import draw_run

        _draw(lambda: draw_run(result, picture))
    return result.exit_code


def _print_file(checked: FileResult, picture: Path | None) -> int:
    from splitbrain.harness.cli.outcome_text import WORDS, print_verdicts
    from splitbrain.harness.exit_codes import exit_code_of

    read = checked.file
    model = f", {read.model}" if read.model else ""
    if len(read):
        click.echo(f"{read.form}{model}: {counted(len(read), 'operation')}")
    print_verdicts(verdict for verdict in checked.verdicts if verdict.applies)
    not_applicable = [verdict.checker for verdict in checked.verdicts if not verdict.applies]
    if not_applicable:
        click.echo(f"  not applicable: {', '.join(not_applicable)}")
    word, colour = WORDS[checked.valid]
    click.echo("verdict: " + click.style(word.lower(), fg=colour, bold=True))
    click.echo(
        f"seconds: {checked.read_s + checked.judged_s:.2f} ({checked.read_s:.2f} reading, "
        f"{checked.judged_s:.2f} judging)"
    )
    _print_memory()
    if picture is not None:
        from splitbrain.harness.report.anomaly.check_pictures import draw_file

        _draw(lambda: draw_file(checked, picture))
    return exit_code_of(checked.valid)


def _print_memory() -> None:
    from splitbrain.harness.cli.judging_progress import peak_memory_bytes

    click.echo(f"peak memory: {peak_memory_bytes() / 2**20:,.0f} MiB")


def _draw(draw: Callable[[], Path | None]) -> None:
    """Call `draw`, which draws the anomalies, and print the path that it returns.

    Ctrl-C ends only the drawing, not the command.
    """
    try:
        drawn = draw()
    except KeyboardInterrupt:
        click.echo("picture: none, it was interrupted")
        return
    if drawn is None:
        click.echo("picture: none, no anomaly was found that can be drawn")
    else:
        click.echo(f"picture: {drawn}")
