"""The index of a store: every run in it, the newest first, with a link to its report.

One file without scripts, for a CI artifact; `splitbrain serve` makes it anew at each
look.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

from splitbrain.harness.report import NAME, write_whole
from splitbrain.harness.report.page import environment
from splitbrain.harness.report.run_data import ResultFacts, RunFacts
from splitbrain.harness.store.store import run_folders

ROWS_MAX = 5_000
"""The newest; the page says how many more there are."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. `place` is its folder relative to the store, quoted for a link."""

    place: str
    folder: str
    facts: RunFacts
    results: ResultFacts | None
    reported: bool

    @property
    def valid(self) -> bool | None:
        return self.results.valid if self.results else None

    @property
    def outcomes(self) -> dict[str, int]:
        """Of all operations: ok, fail, info → how many."""
        counted = self.results.operations if self.results else {}
        if "all" in counted:
            return counted["all"]
        totals: dict[str, int] = {}
        for outcomes in counted.values():
            for outcome, count in outcomes.items():
                totals[outcome] = totals.get(outcome, 0) + count
        return totals

    @property
    def started(self) -> str:
        """The start in UTC, to the second; as recorded if it is in another form."""
        recorded = self.facts.started
        moment = recorded.removesuffix("+00:00").removesuffix("Z")
        return recorded if moment == recorded else moment.replace("T", " ")

    @property
    def reason(self) -> str:
        """The text under the row: why the run is not valid, or "" for a valid run."""
        results = self.results
        if results and results.anomalies:
            checker, anomaly = results.anomalies[0]
            return f"{checker}: {anomaly.kind}: {anomaly.because}"
        error = self.facts.error or (results.error if results else "")
        if error:
            return f"The run broke off: {error}"
        if results is None:
            return "still running" if self.facts.ended == "running" else "not judged"
        undecided = [verdict for verdict in results.verdicts if verdict.valid is None]
        return "; ".join(f"{v.checker}: {v.why or 'undecided'}" for v in undecided)


def run_rows(store: Path) -> tuple[tuple[RunRow, ...], int]:
    """The newest `ROWS_MAX` runs, the newest first, and how many more there are."""
    folders = run_folders(store)[::-1]
    return tuple(_row(store, folder) for folder in folders[:ROWS_MAX]), max(
        0, len(folders) - ROWS_MAX
    )


def _row(store: Path, folder: Path) -> RunRow:
    relative = folder.relative_to(store).as_posix()
    return RunRow(
        quote(relative),
        relative,
        _read(folder / "run.json", RunFacts) or RunFacts(),
        _read(folder / "results.json", ResultFacts),
        (folder / NAME).is_file(),
    )


def _read(path: Path, kind: type[T]) -> T | None:
    """What the file holds; None where it is missing, torn or of another shape."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def verdict_counts(rows: Iterable[RunRow]) -> dict[str, int]:
    counts = {"valid": 0, "invalid": 0, "unknown": 0}
    for row in rows:
        counts["valid" if row.valid else "invalid" if row.valid is False else "unknown"] += 1
    return counts


def render_index(store: Path, *, live: bool = False) -> str:
    """The page. `live`: folders can be listed and a report is made when asked for."""
    rows, beyond = run_rows(store)
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            title=f"{store.absolute().name}: runs",
            rows=rows,
            beyond=beyond,
            counts=verdict_counts(rows),
            live=live,
            report_name=NAME,
        )
    )


def write_index(store: Path) -> Path:
    """Make `index.html` in the folder of runs `store`.

    Raises FileNotFoundError where there is no such folder.
    """
    if not store.is_dir():
        raise FileNotFoundError(f"{store}: expected a folder of runs, as `splitbrain run` makes")
    return write_whole(store / "index.html", render_index(store))
