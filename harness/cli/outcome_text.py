"""Prints the outcome of a run on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from splitbrain.checkers.verdict import Anomaly, Verdict, by_kind
from splitbrain.harness.judging.result_text import count_lines, kinds_text, reproduce_line
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.known_bugs.excuse import KNOWN_BUGS
from splitbrain.harness.schedule.command_line import shown
from splitbrain.harness.store.records import FaultCount

ANOMALIES_SHOWN_MAX = 5
"""If a checker found only one kind of anomaly, at most this number of anomalies is printed."""
OF_A_KIND_SHOWN_MAX = 2
"""If a checker found several kinds of anomalies, at most this number of each kind is printed."""

WORDS = {True: ("valid", "green"), False: ("INVALID", "red"), None: ("unknown", "yellow")}

NOT_APPLICABLE = ("-", "bright_black")


def print_outcome(result: RunResult) -> None:
    """Print verdicts, anomalies, the path of the report, and the command that repeats the run."""
    rate = f", {result.results.rate:g}/s" if result.results.rate else ""
    first, *rest = count_lines(result.results.operations)
    click.echo("\n".join((f"operations: {first}{rate}", *rest)))
    print_verdicts(result.results.verdicts)
    print_failed_faults(result.results.faults)
    for line in lines_without_effect(result.results.faults):
        click.secho(line, fg="yellow")
    if result.error:
        click.secho(f"the run failed: {result.error}", fg="red")
    word, colour = WORDS[result.valid]
    click.echo("verdict: " + click.style(word.lower(), fg=colour, bold=True))
    if result.report is not None:
        click.echo(f"report: {shown(result.report)}")
    else:
        click.echo(f"folder: {shown(result.folder)}")
    if result.valid is not True:
        click.echo("reproduce: " + reproduce_line(result))
    if result.digest:
        click.echo(f"digest: {result.digest}")


def print_failed_faults(faults: Sequence[FaultCount]) -> None:
    """Print a warning about faults that could not be injected or healed.

    A run with such faults tests less than its schedule describes.
    """
    failed = [one for one in faults if one.failed]
    if failed:
        click.secho(
            f"{len(failed)} of {len(faults)} faults failed, the first: "
            f"{failed[0].f}: {failed[0].failed}", fg="yellow",
        )


def lines_without_effect(faults: Sequence[FaultCount]) -> list[str]:
    """Return a warning about faults that changed nothing, as lines of text.

    A first line counts these faults by kind. A second line names each kind whose faults all had no
    effect. Returns [] if every fault had an effect.
    """
    by_kind_of_fault: dict[str, list[FaultCount]] = {}
    for one in faults:
        by_kind_of_fault.setdefault(one.f, []).append(one)
    idle = {
        f: sum(one.effect == "" for one in of_f) for f, of_f in by_kind_of_fault.items()
    }
    if not any(idle.values()):
        return []
    counts = ", ".join(
        f"{f} {idle[f]} of {len(of_f)}" for f, of_f in by_kind_of_fault.items() if idle[f]
    )
    none = [f for f, of_f in by_kind_of_fault.items() if idle[f] == len(of_f)]
    lines = [f"faults without an effect: {counts}"]
    if none:
        lines.append(f"the run does not test these kinds of faults: {', '.join(none)}")
    return lines


def print_verdicts(verdicts: Iterable[Verdict]) -> None:
    """Print each verdict, with some of its anomalies.

    Anomalies that show known bugs are counted on a line for each bug.
    """
    for verdict in verdicts:
        click.echo(verdict_line(verdict))
        kinds = by_kind(verdict.anomalies)
        most = ANOMALIES_SHOWN_MAX if len(kinds) == 1 else OF_A_KIND_SHOWN_MAX
        for kind, anomalies in kinds.items():
            for anomaly in anomalies[:most]:
                click.echo(f"    {_anomaly_text(anomaly)}")
            more = verdict.count_of(kind) - min(most, len(anomalies))
            if more > 0:
                click.echo(f"    … and {more:,} more: {kind}")
        for line in known_lines(verdict):
            click.echo(f"    {line}")


def known_lines(verdict: Verdict) -> list[str]:
    """Return a line for each known bug of the tested store that anomalies of `verdict` show."""
    lines = []
    for bug, count in verdict.counts.get(KNOWN_BUGS, {}).items():
        first = next(one for one in verdict.known if one.known == bug)
        plural = "anomaly" if count == 1 else "anomalies"
        lines.append(f"known bug {bug}: {count:,} {plural}, {first.kind}")
    return lines


def _anomaly_text(anomaly: Anomaly) -> str:
    events = ", ".join(str(index) for index in anomaly.events[:12])
    shown_by = f"  [events {events}]" if events else ""
    kind = "" if anomaly.because.startswith(f"{anomaly.kind}:") else f"{anomaly.kind}: "
    return f"{kind}{anomaly.because}{shown_by}"


def verdict_line(verdict: Verdict) -> str:
    """Format a verdict as one line.

    The line contains the verdict, the checker, the time, the number of anomalies of each kind, and
    the reason if the verdict is unknown."""
    word, colour = WORDS[verdict.valid] if verdict.applies else NOT_APPLICABLE
    mark = click.style(f"{word:8}", fg=colour)
    notes = [note for note in (kinds_text(verdict), verdict.why) if note]
    return "  ".join([f"  {mark} {verdict.checker} ({verdict.seconds:.1f} s)", *notes])
