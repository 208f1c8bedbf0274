"""Formats the results of a run as text, for the console and for the message of a failed test."""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.checkers.verdict import Verdict, by_kind
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.schedule.command_line import shown
from splitbrain.harness.store.records import Results

VERDICT_WORDS = {True: "valid", False: "INVALID", None: "unknown"}


def reproduce_line(result: RunResult) -> str:
    """Return the command that repeats the run, and a shorter one that needs the run's folder."""
    line, shorter = result.results.reproduce, f"splitbrain replay {shown(result.folder)}"
    return line if line == shorter else f"{line}   (or: {shorter})"


def count_lines(operations: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the number of operations by outcome, as lines of text.

    The first line counts all operations. Then each function has a line.
    """
    texts = {
        f: ", ".join(f"{count} {outcome}" for outcome, count in row.items())
        for f, row in operations.items()
    }
    functions = [f for f in texts if f != "all"]
    width = max(map(len, functions), default=0)
    return [texts.get("all") or "none", *(f"  {f:{width}}  {texts[f]}" for f in functions)]


def kinds_text(verdict: Verdict) -> str:
    """Return the number of anomalies of each kind: `wrong answer (18), lost write (1)`.

    Returns "" if there are fewer than two anomalies.
    """
    if verdict.anomaly_count < 2:
        return ""
    return ", ".join(
        f"{kind} ({verdict.count_of(kind):,})" for kind in by_kind(verdict.anomalies)
    )


def summary(results: Results) -> str:
    """Return a line for each verdict that is invalid or unknown.

    The line contains the first anomaly of each kind, or the reason why the verdict is unknown.
    """
    lines = []
    for verdict in results.verdicts:
        if verdict.valid is True:
            continue
        kinds = by_kind(verdict.anomalies)
        reasons = [
            f"{kind}: {anomalies[0].because}" for kind, anomalies in kinds.items()
        ] or [verdict.why]
        counts = f" ({kinds_text(verdict)})" if kinds_text(verdict) else ""
        lines.append(
            f"{verdict.checker}: {VERDICT_WORDS[verdict.valid]}{counts}: {'; '.join(reasons)}"
        )
    return "\n".join(lines)
