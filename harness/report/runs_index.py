"""Renders the index of a store: a table of its runs, the newest first, with links to reports.

A store is the folder that contains the folders of runs. The page is one file without scripts, so
that it can be a CI artifact. `splitbrain serve` renders the page again for each request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from splitbrain.harness.report.html import environment
from splitbrain.harness.report.page_file import INDEX_NAME, write_page
from splitbrain.harness.store.lenient_records import (
    ResultFacts,
    RunFacts,
    read_result_facts,
    read_run_facts,
)
from splitbrain.harness.store.run_folder import REPORT, RunFolder
from splitbrain.harness.store.run_folders import run_folders

ROWS_MAX = 5_000
"""The maximal number of runs in the table. The page reports how many older runs there are."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the table. `results` is None if the run was not judged."""

    link: str
    """The path of the run's folder, relative to the store and quoted for a link."""
    folder: str
    facts: RunFacts
    results: ResultFacts | None
    has_report: bool

    @property
    def valid(self) -> bool | None:
        return self.results.valid if self.results else None

    @property
    def outcomes(self) -> dict[str, int]:
        """The number of operations by outcome (ok, fail, info); {} if the run was not judged."""
        counts_by_f = self.results.operations if self.results else {}
        if "all" in counts_by_f:
            return counts_by_f["all"]
        totals: dict[str, int] = {}
        for outcomes in counts_by_f.values():
            for outcome, count in outcomes.items():
                totals[outcome] = totals.get(outcome, 0) + count
        return totals

    @property
    def started(self) -> str:
        """The start as `YYYY-MM-DD hh:mm:ss` in UTC. A start in another time zone is unchanged."""
        recorded = self.facts.started
        moment = recorded.removesuffix("+00:00").removesuffix("Z")
        return recorded if moment == recorded else moment.replace("T", " ")

    @property
    def reason(self) -> str:
        """Why the run is not valid, as the page shows it below the row; "" for a valid run."""
        results = self.results
        if results and results.anomalies:
            checker, anomaly = results.anomalies[0]
            return f"{checker}: {anomaly.kind}: {anomaly.because}"
        error = self.facts.error or (results.error if results else "")
        if error:
            return f"The run failed: {error}"
        if results is None:
            return "still running" if self.facts.ended == "running" else "not judged"
        unknown = [verdict for verdict in results.verdicts if verdict.valid is None]
        return "; ".join(f"{v.checker}: {v.why or 'unknown'}" for v in unknown)


def run_rows(store: Path) -> tuple[tuple[RunRow, ...], int]:
    """Return the newest `ROWS_MAX` runs in `store`, newest first, and the number of older runs."""
    folders = run_folders(store)[::-1]
    return tuple(_row(store, folder) for folder in folders[:ROWS_MAX]), max(
        0, len(folders) - ROWS_MAX
    )


def _row(store: Path, folder: Path) -> RunRow:
    relative, files = folder.relative_to(store).as_posix(), RunFolder(folder)
    return RunRow(
        link=quote(relative),
        folder=relative,
        facts=read_run_facts(files)[0] or RunFacts(),
        results=read_result_facts(files)[0],
        has_report=files.report.is_file(),
    )


def verdict_counts(rows: Iterable[RunRow]) -> dict[str, int]:
    """Return the number of runs with each verdict."""
    counts = {"valid": 0, "invalid": 0, "unknown": 0}
    for row in rows:
        counts["valid" if row.valid else "invalid" if row.valid is False else "unknown"] += 1
    return counts


def render_index(store: Path, *, live: bool = False) -> str:
    """Return the index of `store` as HTML.

    With `live`, the page also links to folders, and to reports that are not written yet. Only
    `splitbrain serve` can answer these links.
    """
    rows, older = run_rows(store)
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            title=f"{store.absolute().name}: runs",
            rows=rows,
            older=older,
            counts=verdict_counts(rows),
            live=live,
            report_name=REPORT,
        )
    )


def write_index(store: Path) -> Path:
    """Write `index.html` into the folder of runs `store`; returns its path.

    Raises FileNotFoundError if the folder does not exist.
    """
    if not store.is_dir():
        raise FileNotFoundError(
            f"{store} is not a folder; expected a folder of runs, which `splitbrain run` makes"
        )
    return write_page(store / INDEX_NAME, render_index(store))
