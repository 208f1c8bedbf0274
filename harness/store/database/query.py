"""Finds runs in the database by a filter.

A search has two steps. Both steps read only indexes over numbers. First, the matching runs are
counted. The index for this contains all columns that the filter needs.

Second, the runs of the requested page are read. There are two ways to read them:

- If few runs match, all of them are read with the same index, and sorted.
- If many runs match, the search reads all runs in the order of the result, and keeps those that
  match until the page is full. The page is soon full, because a large share of all runs matches.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from splitbrain.harness.store.database.database import VERDICTS
from splitbrain.harness.store.run_row import RunRow

SORTED_MAX = 20_000
"""If at most this many runs match, all of them are read and then sorted."""
Sort = Literal["started", "rate", "p99_ms"]
SORTS: dict[Sort, str] = {
    "started": "runs_started", "rate": "runs_rate", "p99_ms": "runs_p99",
}
"""Maps each column by which a result can be sorted to the index that has the same order."""
WORDS: dict[str, int] = {"valid": 0, "invalid": 1, "unknown": 2}


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Determines which runs are found. An empty field does not restrict them."""

    verdicts: tuple[str, ...] = ()
    """Only runs with one of these verdicts: valid, invalid, unknown."""
    since: int | None = None
    """Only runs that started at this time or later, in seconds since 1970."""
    until: int | None = None
    test: str = ""
    system: str = ""
    workload: str = ""
    mutant: str = ""
    nemesis: tuple[str, ...] = ()
    """Only runs with all of these kinds of faults. They may have other kinds, too."""
    members: int = 0
    version: str = ""
    commit: str = ""
    """Only runs of the commit that begins with these characters."""
    checker: str = ""
    kind: str = ""
    campaign: str = ""
    group: str = ""
    seed: int | None = None
    text: str = ""
    """Only runs whose first anomaly contains these words. The beginning of a word is enough."""


class Page(msgspec.Struct, frozen=True):
    """A page of the runs that match a filter, and the number of all matching runs."""

    counts: dict[str, int]
    """The number of all matching runs, by verdict."""
    runs: tuple[RunRow, ...]


def find_runs(
    connection: sqlite3.Connection, wanted: Filter, *, sort: Sort = "started",
    descending: bool = True, limit: int = 50, offset: int = 0,
) -> Page:
    """Find the runs that match `wanted`. Return up to `limit` of them, and the number of all.

    The first `offset` runs in the order of `sort` are skipped.
    """
    index, where, values = _where(connection, wanted)
    counts = _totals(connection, wanted) or _counts(connection, index, where, values)
    matching = sum(counts.values())
    if not matching or not limit:
        return Page(counts, ())
    if matching > SORTED_MAX:
        index = SORTS[sort]
    direction = "DESC" if descending else "ASC"
    # Runs without the value come last in both directions.
    order = "" if sort == "started" else f"{sort} IS NULL, "
    given = f" AND {sort} IS NOT NULL" if matching > SORTED_MAX and sort != "started" else ""
    ids = [
        one for (one,) in connection.execute(
            f"SELECT id FROM runs {_hint(index)} WHERE {where}{given} "
            f"ORDER BY {'' if given else order}{sort} {direction}, id {direction} "
            f"LIMIT {int(limit)} OFFSET {int(offset)}", values,
        )
    ]
    return Page(counts, tuple(_rows(connection, ids)))


def names_of(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the values that occur in the runs of the store, for each field of a filter."""
    found = {
        field: [
            str(name) for (name,) in connection.execute(
                f"SELECT DISTINCT {column} FROM {table} WHERE {column} <> '' ORDER BY 1"
            )
        ]
        for field, table, column in (
            ("test", "configurations", "test"), ("system", "subjects", "system"),
            ("workload", "subjects", "workload"), ("mutant", "subjects", "mutant"),
            ("nemesis", "configurations", "nemesis"), ("checker", "findings", "checker"),
            ("kind", "findings", "kind"), ("version", "builds", "version"),
            ("campaign", "campaigns", "name"), ("group", "failure_groups", "name"),
        )
    }
    kinds = {kind for one in found["nemesis"] for kind in one.split(",")}
    return {**found, "nemesis": sorted(kinds)}


def _counts(
    connection: sqlite3.Connection, index: str, where: str, values: dict[str, Any]
) -> dict[str, int]:
    # Conditional sums need no sorting, which GROUP BY would need.
    sums = ", ".join(f"total(verdict = {number})" for number in WORDS.values())
    counted = connection.execute(
        f"SELECT {sums} FROM runs {_hint(index)} WHERE {where}", values
    ).fetchone()
    return {word: int(count) for word, count in zip(WORDS, counted, strict=True)}


def _totals(connection: sqlite3.Connection, wanted: Filter) -> dict[str, int] | None:
    """Return the number of matching runs by verdict, from the table `totals`.

    Returns None if `wanted` has fields that are not columns of `totals`.
    """
    decided = {name: getattr(wanted, name) for name in _IN_TOTALS}
    if wanted != Filter(**decided):
        return None
    given = {name: value for name, value in decided.items() if value}
    words = given.pop("verdicts", tuple(WORDS))
    conditions = " AND ".join(["1", *(f"{name} = :{name}" for name in given)])
    found = dict(connection.execute(
        "SELECT verdict, sum(runs) FROM totals JOIN subjects ON subjects.id = subject"
        f" JOIN builds ON builds.id = build WHERE {conditions} GROUP BY verdict", given,
    ).fetchall())
    return {word: found.get(at, 0) if word in words else 0 for word, at in WORDS.items()}


_IN_TOTALS = ("verdicts", "system", "workload", "mutant", "version")


def _hint(index: str) -> str:
    return f"INDEXED BY {index}" if index else ""


def _where(
    connection: sqlite3.Connection, wanted: Filter
) -> tuple[str, str, dict[str, Any]]:
    """Convert the filter `wanted` to SQL.

    Returns the index that selects the fewest runs, the condition after WHERE, and its values.
    """
    conditions: list[str] = []
    values: dict[str, Any] = {}

    def one_of(column: str, numbers: list[int]) -> None:
        values[column] = json.dumps(numbers)
        conditions.append(f"{column} IN (SELECT value FROM json_each(:{column}))")

    verdicts = sorted({WORDS[word] for word in wanted.verdicts})
    if verdicts:
        conditions.append(f"verdict IN ({', '.join(map(str, verdicts))})")
    for column, table, chosen in _chosen(wanted):
        if chosen:
            one_of(column, _ids(connection, table, chosen))
    for field, sign in (("since", ">="), ("until", "<=")):
        if getattr(wanted, field) is not None:
            values[field] = getattr(wanted, field)
            conditions.append(f"started {sign} :{field}")
    if wanted.seed is not None:
        values["seed"] = wanted.seed
        conditions.append("seed = :seed")
    words = " ".join(f'"{word}"*' for word in wanted.text.replace('"', " ").split())
    if words:
        values["words"] = words
        conditions.append("id IN (SELECT rowid FROM reasons WHERE reasons MATCH :words)")
    for column in ("finding", "campaign", "failure_group"):
        if column in values:
            # SQLite uses a partial index only if the query contains its condition.
            conditions.append(f"{column} > 0")
    if verdicts and verdicts[0] > 0:
        conditions.append("verdict > 0")
    return _index(wanted, values), " AND ".join(conditions) or "1", values


_CONFIGURATIONS = "configurations JOIN subjects ON subjects.id = subject"


def _chosen(wanted: Filter) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield a condition for each table that `runs` refers to.

    The rows that meet the condition are those that match `wanted`. A condition is a tuple: the
    column of `runs`, the table, and the values that a row of the table must have. If there are no
    such values, every row matches.
    """
    configuration = {
        name: getattr(wanted, name)
        for name in ("test", "system", "workload", "mutant", "nemesis", "members")
        if getattr(wanted, name)
    }
    yield "configuration", _CONFIGURATIONS, configuration
    build = {"version": wanted.version, "commit_id": wanted.commit}
    yield "build", "builds", {name: value for name, value in build.items() if value}
    finding = {"checker": wanted.checker, "kind": wanted.kind}
    yield "finding", "findings", {name: value for name, value in finding.items() if value}
    yield "campaign", "campaigns", {"name": wanted.campaign} if wanted.campaign else {}
    yield "failure_group", "failure_groups", {"name": wanted.group} if wanted.group else {}


def _ids(connection: sqlite3.Connection, table: str, chosen: dict[str, Any]) -> list[int]:
    conditions, values = [], []
    for name, value in chosen.items():
        if name == "commit_id":
            conditions.append("substr(commit_id, 1, length(?)) = ?")
            values += [value, value]
        elif name == "nemesis":
            for kind in value:
                conditions.append("instr(',' || nemesis || ',', ',' || ? || ',') > 0")
                values.append(kind)
        else:
            conditions.append(f"{name} = ?")
            values.append(value)
    found = connection.execute(
        f"SELECT {table.split()[0]}.id FROM {table} WHERE {' AND '.join(conditions)}", values
    )
    return [int(one) for (one,) in found]


def _index(wanted: Filter, values: dict[str, Any]) -> str:
    """Return the name of the index that the query reads.

    Returns "" if the query searches for words. SQLite then reads only the runs with these words,
    and needs no index of `runs`.
    """
    if "words" in values:
        return ""
    if wanted.seed is not None:
        return "runs_seed"
    if "failure_group" in values:
        return "runs_group"
    if "finding" in values:
        return "runs_finding"
    if wanted.verdicts and "valid" not in wanted.verdicts:
        return "runs_failed"
    for column in ("campaign", "build", "configuration"):
        if column in values:
            return f"runs_{column}"
    return "runs_started"


_COLUMNS = """
    SELECT runs.id, key, folder, campaigns.name, number, failure_groups.name, started, test,
        system, workload, mutant, nemesis, members, seed, verdict, ended, error, load_s, rate,
        p50_ms, p99_ms, ok, fail, info, anomalies, checker, kind, because, version, commit_id,
        reproduce
    FROM runs
        JOIN configurations ON configurations.id = configuration
        JOIN subjects ON subjects.id = subject
        JOIN builds ON builds.id = build
        LEFT JOIN findings ON findings.id = finding
        LEFT JOIN campaigns ON campaigns.id = campaign
        LEFT JOIN failure_groups ON failure_groups.id = failure_group
    WHERE runs.id IN (SELECT value FROM json_each(?))
"""
_FIELDS = RunRow.__struct_fields__


def _rows(connection: sqlite3.Connection, ids: list[int]) -> Iterator[RunRow]:
    """Yield the runs with the given ids, in the order of `ids`."""
    found = {one[0]: one[1:] for one in connection.execute(_COLUMNS, (json.dumps(ids),))}
    valids = {number: valid for valid, number in VERDICTS.items()}
    for one in ids:
        values = dict(zip(_FIELDS, found[one], strict=True))
        values["nemesis"] = tuple(values["nemesis"].split(",")) if values["nemesis"] else ()
        values["valid"] = valids[values["valid"]]
        texts = ("campaign", "group", "checker", "kind")
        yield RunRow(**{**values, **{name: values[name] or "" for name in texts}})
