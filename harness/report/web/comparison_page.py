"""Compares two runs on a page: options, versions, verdicts, outcomes, latencies and faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splitbrain.harness.report.html import environment, to_json
from splitbrain.harness.store.lenient_records import (
    ResultFacts,
    RunFacts,
    read_result_facts,
    read_run_facts,
)
from splitbrain.harness.store.run_folder import REPORT, RunFolder


@dataclass(frozen=True, slots=True)
class Row:
    """One fact about the two runs, as text. The text of a run without this fact is ""."""

    name: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        return self.first != self.second


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run that is compared, with the data of its report."""

    folder: str
    facts: RunFacts
    results: ResultFacts

    @property
    def valid(self) -> bool | None:
        return self.results.valid


def read_compared(store: Path, folder: Path) -> ComparedRun:
    """Read the run in `folder`, which is a folder in `store`."""
    files = RunFolder(folder)
    return ComparedRun(
        folder.relative_to(store).as_posix(), read_run_facts(files)[0] or RunFacts(),
        read_result_facts(files)[0] or ResultFacts(),
    )


def render_comparison(first: ComparedRun, second: ComparedRun) -> str:
    """Return the HTML page that compares the two runs."""
    sections = {
        "Options and versions": tuple(_facts(first, second)),
        "Verdicts": tuple(_verdicts(first, second)),
        "Operations": tuple(_operations(first, second)),
        "Latency": tuple(_latencies(first, second)),
    }
    return environment().get_template("comparison.html.j2").render(
        title=f"{first.folder} and {second.folder}", here="", runs=(first, second),
        sections=sections, report_name=REPORT,
    )


def _facts(first: ComparedRun, second: ComparedRun) -> Iterator[Row]:
    for name in ("started", "seed", "ended", "error"):
        yield Row(name, _text(getattr(first.facts, name)), _text(getattr(second.facts, name)))
    yield Row("members", str(len(first.facts.members)), str(len(second.facts.members)))
    yield from _rows(first.facts.options, second.facts.options)
    yield from _rows(first.facts.versions, second.facts.versions, "version of ")


def _verdicts(first: ComparedRun, second: ComparedRun) -> Iterator[Row]:
    words = {True: "valid", False: "invalid", None: "unknown"}

    def of(run: ComparedRun) -> dict[str, str]:
        found = {}
        for verdict in run.results.verdicts:
            kinds = ", ".join(f"{kind} ({count})" for kind, count in verdict.kinds.items())
            detail = kinds or verdict.why
            found[verdict.checker] = words[verdict.valid] + (f": {detail}" if detail else "")
        return found

    yield from _rows(of(first), of(second))


def _operations(first: ComparedRun, second: ComparedRun) -> Iterator[Row]:
    def of(run: ComparedRun) -> dict[str, str]:
        return {
            f: ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
            for f, outcomes in run.results.operations.items()
        }

    yield Row("per second of load", f"{first.results.rate:,.1f}", f"{second.results.rate:,.1f}")
    yield from _rows(of(first), of(second))
    yield Row("anomalies", *(
        str(sum(one.anomaly_count for one in run.results.verdicts)) for run in (first, second)
    ))


def _latencies(first: ComparedRun, second: ComparedRun) -> Iterator[Row]:
    def of(run: ComparedRun) -> dict[str, str]:
        counts: dict[str, Any] = next(
            (one.counts for one in run.results.verdicts if one.checker == "statistics"), {}
        )
        return {
            name: f"{row.get('p50 ms', '')} ms, p99 {row.get('p99 ms', '')} ms"
            for name, row in counts.items() if isinstance(row, dict) and "p50 ms" in row
        }

    yield from _rows(of(first), of(second))


def _rows(first: dict[str, Any], second: dict[str, Any], before: str = "") -> Iterator[Row]:
    for name in dict.fromkeys((*first, *second)):
        yield Row(before + name, _text(first.get(name)), _text(second.get(name)))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)
