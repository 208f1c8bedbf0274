"""Renders the page of all runs: filter, sort, search, and the choice of two runs to compare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import msgspec

from splitbrain.harness.errors import BadArguments
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
ORDERS = ("asc", "desc")
TEXTS = ("test", "system", "workload", "mutant", "campaign", "group", "checker", "kind", "version",
         "commit", "text")

FIELDS = (*TEXTS, "verdict", "since", "nemesis", "seed", "sort", "order", "page")
"""The names of all parameters of the page: the fields of the form, and those set by links."""


def filter_of(query: Mapping[str, str]) -> Filter:
    """Return the filter that the fields of the form in `query` describe.

    An empty field does not restrict the runs. Raises BadArguments for an unknown field and for a
    value that the field cannot have.
    """
    for name in query:
        if name not in FIELDS:
            raise BadArguments(f"{name[:40]}: no such filter; there are {', '.join(FIELDS)}")
    since = _one_of(query, "since", PERIODS)
    verdict = _one_of(query, "verdict", VERDICTS)
    seed = _integer(query, "seed", -(2**63), 2**63 - 1)
    period = PERIODS[since] if since else None
    return msgspec.structs.replace(
        Filter(**{name: query.get(name, "").strip() for name in TEXTS}),  # type: ignore[arg-type]
        verdicts=(verdict,) if verdict else (),
        since=int((datetime.now(UTC) - period).timestamp()) if period else None,
        nemesis=(query["nemesis"],) if query.get("nemesis") else (),
        seed=seed,
    )


def _one_of(query: Mapping[str, str], name: str, values: Iterable[str]) -> str:
    """Return the value of the field `name`; "" if it is absent or empty.

    Raises BadArguments if the value is not in `values`.
    """
    value = query.get(name, "")
    if value and value not in values:
        raise BadArguments(f"{name}={value[:40]}: expected one of {', '.join(values)}")
    return value


def _integer(query: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    """Return the integer in the field `name`; None if it is absent or empty.

    Raises BadArguments if it is not an integer from `least` to `most`.
    """
    value = query.get(name, "").strip()
    if not value:
        return None
    number = int(value) if re.fullmatch(r"-?[0-9]{1,20}", value) else None
    if number is None or not least <= number <= most:
        raise BadArguments(
            f"{name}={value[:40]}: expected an integer from {least:,} to {most:,}"
        )
    return number


def render_runs(store: Path, sync: FolderSync, query: Mapping[str, str]) -> str:
    """Return the page of the runs that match the fields of the form in `query`.

    Raises BadArguments for a wrong value of a field.
    """
    sort = cast("Sort", _one_of(query, "sort", SORTS) or "started")
    ascending = _one_of(query, "order", ORDERS) == "asc"
    page_number = _integer(query, "page", 1, OFFSET_MAX // PAGE_RUNS) or 1
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
    """Return the time `seconds` since 1970 as `YYYY-MM-DD hh:mm:ss` in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _with_report(store: Path, runs: tuple[RunRow, ...]) -> set[str]:
    return {run.key for run in runs if run.folder and (store / run.folder).is_dir()}


class _Link:
    """Makes links to the page of runs that change some fields and keep the others.

    An empty value removes a field.
    """

    def __init__(self, query: Mapping[str, str]) -> None:
        self._query = {name: value for name, value in query.items() if value}

    def __call__(self, **changed: Any) -> str:
        fields = {**self._query, **{name: str(value) for name, value in changed.items()}}
        if "page" not in changed:
            fields.pop("page", None)
        return "/?" + urlencode({name: value for name, value in fields.items() if value})
