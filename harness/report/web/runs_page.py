"""The page of all runs: filter, sort, search, and the choice of two runs to compare."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import msgspec

from splitbrain.harness.report.html import environment
from splitbrain.harness.store.database.database import open_database
from splitbrain.harness.store.database.query import SORTS, Filter, Sort, find_runs, names_of
from splitbrain.harness.store.database.sync import FolderSync
from splitbrain.harness.store.run_folder import REPORT
from splitbrain.harness.store.run_row import RunRow

PAGE_RUNS = 50
OFFSET_MAX = 100_000
VERDICTS = ("valid", "invalid", "unknown")
PERIODS: dict[str, timedelta] = {
    "1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
TEXTS = ("test", "system", "workload", "mutant", "campaign", "group", "checker", "kind", "version",
         "commit", "text")


def filter_of(query: Mapping[str, str]) -> Filter:
    """The filter that the fields of the form describe. Wrong values are ignored."""
    period = PERIODS.get(query.get("since", ""))
    seed = query.get("seed", "")
    return msgspec.structs.replace(
        Filter(**{name: query.get(name, "").strip() for name in TEXTS}),  # type: ignore[arg-type]
        verdicts=(query["verdict"],) if query.get("verdict") in VERDICTS else (),
        since=int((datetime.now(UTC) - period).timestamp()) if period else None,
        nemesis=(query["nemesis"],) if query.get("nemesis") else (),
        seed=int(seed) if re.fullmatch(r"-?[0-9]{1,18}", seed) else None,
    )


def render_runs(store: Path, sync: FolderSync, query: Mapping[str, str]) -> str:
    """The page for the fields `query` of the form."""
    sort = cast("Sort", query["sort"]) if query.get("sort") in SORTS else "started"
    ascending = query.get("order") == "asc"
    number = query.get("page", "1")
    page_number = min(int(number) if number.isdecimal() else 1, OFFSET_MAX // PAGE_RUNS) or 1
    with open_database(store) as connection:
        sync.update(connection)
        page = find_runs(
            connection, filter_of(query), sort=sort, descending=not ascending, limit=PAGE_RUNS,
            offset=(page_number - 1) * PAGE_RUNS,
        )
        names = names_of(connection)
    total = sum(page.counts.values())
    return environment().get_template("runs.html.j2").render(
        title=f"{store.name}: runs", here="runs", page=page, total=total, names=names,
        query=query, sort=sort, ascending=ascending, periods=tuple(PERIODS),
        link=_Link(query), page_number=page_number, pages=-(-total // PAGE_RUNS),
        has_report=_with_report(store, page.runs), report_name=REPORT, when=when,
    )


def when(seconds: int) -> str:
    """A time as `YYYY-MM-DD hh:mm:ss` in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _with_report(store: Path, runs: tuple[RunRow, ...]) -> set[str]:
    return {run.key for run in runs if run.folder and (store / run.folder).is_dir()}


class _Link:
    """Makes links to the same page with some fields changed. An empty value removes a field."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._query = {name: value for name, value in query.items() if value}

    def __call__(self, **changed: Any) -> str:
        fields = {**self._query, **{name: str(value) for name, value in changed.items()}}
        if "page" not in changed:
            fields.pop("page", None)
        return "/?" + urlencode({name: value for name, value in fields.items() if value})
