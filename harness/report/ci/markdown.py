"""Writes the summary of a CI step as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from splitbrain.harness.counted import counted
from splitbrain.harness.report.ci.findings import Finding, Findings
from splitbrain.harness.store.run_row import RunRow

TESTS_MAX = 50
SUMMARY_BYTES_MAX = 1_000_000
"""GitHub accepts 1 MiB of summary for each step."""
SCHEDULE_LINES_MAX = 60
SIGNS = {True: "✅", False: "❌", None: "❔"}


def summary(findings: Findings) -> str:
    """Return the summary: the verdict, each failure with its schedule, and a table of tests.

    The text is Markdown, and is cut to `SUMMARY_BYTES_MAX`.
    """
    text = "\n".join(_lines(findings)) + "\n"
    data = text.encode()
    if len(data) <= SUMMARY_BYTES_MAX:
        return text
    kept = data[:SUMMARY_BYTES_MAX].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\nThe summary was longer than {SUMMARY_BYTES_MAX:,} bytes.\n"


def _lines(findings: Findings) -> Iterator[str]:
    word = {True: "valid", False: "invalid", None: "unknown"}[findings.valid]
    verdicts = ", ".join(f"{count:,} {name}" for name, count in findings.counts.items() if count)
    yield f"## {SIGNS[findings.valid]} Splitbrain: {word}"
    yield ""
    yield counted(findings.total, "run") + (f": {verdicts}" if verdicts else "") + "."
    for one in sorted(findings.groups, key=lambda finding: bool(finding.known)):
        yield from _finding(one)
    unknown = [run for run in findings.runs if run.valid is None]
    if unknown:
        yield from ("", f"### {len(unknown):,} unknown runs", "")
        for reason, count in Counter(run.because or "no reason" for run in unknown).most_common(5):
            yield f"- {count} times: {_escaped(reason)}"
    yield from _tests(findings.runs)


def _finding(one: Finding) -> Iterator[str]:
    title = f"{_escaped(one.name)}, {one.runs:,} {'run' if one.runs == 1 else 'runs'}"
    yield ""
    yield f"### {'Accepted: ' if one.known else ''}{title}"
    yield ""
    if one.known:
        yield f"Accepted: {_escaped(one.known)}"
        yield ""
    yield _escaped(one.because)
    yield ""
    yield from _fenced(one.reproduce, "sh")
    if one.schedule:
        lines = one.schedule.rstrip().splitlines()
        yield "<details><summary>the smallest schedule</summary>"
        yield ""
        yield from _fenced("\n".join(lines[:SCHEDULE_LINES_MAX]), "text")
        if len(lines) > SCHEDULE_LINES_MAX:
            yield f"… and {len(lines) - SCHEDULE_LINES_MAX} more lines"
        yield "</details>"


def _tests(runs: tuple[RunRow, ...]) -> Iterator[str]:
    tests: dict[str, list[RunRow]] = {}
    for run in runs:
        tests.setdefault(run.test, []).append(run)
    if not tests:
        return
    yield from ("", "| test | runs | valid | invalid | unknown | operations/s | p99 ms |",
                "|---|--:|--:|--:|--:|--:|--:|")
    for test, own in sorted(tests.items())[:TESTS_MAX]:
        verdicts = Counter(run.verdict for run in own)
        rates = [run.rate for run in own if run.rate is not None]
        latencies = [run.p99_ms for run in own if run.p99_ms is not None]
        yield (
            f"| {_escaped(test)} | {len(own)} | {verdicts['valid']} | {verdicts['invalid']} "
            f"| {verdicts['unknown']} | {_mean(rates)} | {_mean(latencies)} |"
        )
    if len(tests) > TESTS_MAX:
        yield ""
        yield f"… and {len(tests) - TESTS_MAX} more tests"


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):,.4g}" if values else "–"  # noqa: RUF001 (a dash)


def _fenced(text: str, language: str) -> Iterator[str]:
    # The fence is longer than any in the text, so that a value cannot end the block.
    ticks = max((len(one) for one in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    yield from (f"{fence}{language}", text, fence, "")


def _escaped(text: str) -> str:
    """Escape `text` so that Markdown shows it literally, on one line."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>#|~!])", r"\\\1", plain)
