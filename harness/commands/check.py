"""`splitbrain check P`: judge again what was recorded."""

from __future__ import annotations

from pathlib import Path

import click

OF_TRACES = ("write_path", "promises")


@click.command("check")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--checker", "names", multiple=True, metavar="NAME",
              help="Only this checker; may be given again.  [default: those of the workload]")
@click.option("--no-report", is_flag=True, help="Write no new report.html.")
def command(path: Path, names: tuple[str, ...], no_report: bool) -> int:
    """Judge a recorded run again.

    PATH is a run's folder (such as store/latest), whose results.json and report.html
    are written anew, or a history.jsonl alone: what only the members' states and
    traces can show is then unknown, and left out.

    \b
    Examples:
      splitbrain check store/latest
      splitbrain check old/history.jsonl --checker linearizable

    \b
    Exit codes: 0 valid, 1 invalid, 2 unknown, 254 bad arguments, 255 failure.
    """
    from harness.commands.outcome_text import tell

    path = path.resolve()
    if path.is_file():
        return _check_history(path, names)
    from harness.judge import checkers_of, judge, read_record

    result = judge(path, checkers_of(read_record(path).options, names) if names else None)
    if not (no_report or names):
        import dataclasses

        from harness.report import write

        result = dataclasses.replace(result, report=write(path))
    tell(result)
    return result.exit_code


def _check_history(path: Path, names: tuple[str, ...]) -> int:
    from checkers.evidence import Evidence
    from harness.commands.outcome_text import WORDS, tell_verdicts
    from harness.errors import BadArguments
    from harness.judge import checkers_of, judge_evidence, merged
    from harness.options import Options
    from histories.errors import HistoryError
    from histories.history import History

    try:
        history = History.read(path)
    except HistoryError as problem:
        raise BadArguments(str(problem)) from problem
    # A bare history has no traces: the checkers of traces are asked only by name.
    checkers = checkers_of(Options(), names)
    wanted = {n: c for n, c in checkers.items() if names or n not in OF_TRACES}
    verdicts = judge_evidence(Evidence(history), wanted)
    tell_verdicts(verdicts)
    valid = merged(verdicts)
    click.echo(f"verdict: {WORDS[valid][0]}")
    return {True: 0, False: 1, None: 2}[valid]
