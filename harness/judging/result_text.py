"""The results of a run as text, for the console and for the message of a failed test."""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.schedule.command_line import shown
from splitbrain.harness.store.records import Results

VERDICT_WORDS = {True: "valid", False: "INVALID", None: "unknown"}


def reproduce_line(result: RunResult) -> str:
    """The command that repeats the run, and a shorter command that needs the run's folder."""
    line, shorter = result.results.reproduce, f"splitbrain replay {shown(result.folder)}"
    return line if line == shorter else f"{line}   (or: {shorter})"


def count_lines(operations: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The number of operations by outcome: a line for all of them, and one for each function."""
    texts = {
        f: ", ".join(f"{count} {outcome}" for outcome, count in row.items())
        for f, row in operations.items()
    }
    functions = [f for f in texts if f != "all"]
    width = max(map(len, functions), default=0)
    return [texts.get("all") or "none", *(f"  {f:{width}}  {texts[f]}" for f in functions)]


def summary(results: Results) -> str:
    """A line for each checker whose verdict is invalid or unknown.

    The line contains the checker's first anomaly, or the reason why the verdict is unknown.
    """
    lines = []
    for verdict in results.verdicts:
        if verdict.valid is True:
            continue
        first = verdict.anomalies[0] if verdict.anomalies else None
        reason = f"{first.kind}: {first.because}" if first else verdict.why
        lines.append(f"{verdict.checker}: {VERDICT_WORDS[verdict.valid]}: {reason}")
    return "\n".join(lines)
