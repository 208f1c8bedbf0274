"""Divides `Verdict.counts` into single numbers and tables, which the report shows.

Each entry of `counts` is a number, a row (a mapping of numbers) or a table (a mapping of rows).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ROWS_MAX = 60
COLUMNS_MAX = 24


@dataclass(frozen=True, slots=True)
class CountTable:
    """A table of counts. Each row has a name and a cell for each column.

    A cell is a number, a text, or None if there is no value.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Any, ...]], ...]
    """The name and the cells of each row."""
    rows_beyond: int = 0
    """The number of further rows, which the table does not contain."""


def single_counts(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of `counts` that are single numbers.

    The page shows them next to the verdict.
    """
    return {name: count for name, count in counts.items() if not isinstance(count, Mapping)}


def count_tables(counts: Mapping[str, Any]) -> tuple[CountTable, ...]:
    """Return the entries of `counts` that are rows or tables, as tables.

    Rows with the same columns form one table.
    """
    rows_of: dict[tuple[str, ...], list[tuple[str, tuple[Any, ...]]]] = {}
    for name, row in _rows(counts):
        columns = tuple(str(column) for column in row)[:COLUMNS_MAX]
        rows_of.setdefault(columns, []).append((name, tuple(row.values())[:COLUMNS_MAX]))
    return tuple(
        CountTable(columns, tuple(rows[:ROWS_MAX]), max(0, len(rows) - ROWS_MAX))
        for columns, rows in rows_of.items()
    )


def _rows(counts: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name and the cells of each row of `counts`.

    The name of a row inside a table consists of the table's name, a space and the row's name.
    """
    for name, count in counts.items():
        if not isinstance(count, Mapping) or not count:
            continue
        if all(isinstance(row, Mapping) for row in count.values()):
            for row_name, row in count.items():
                yield f"{name} {row_name}", row
        else:
            yield name, count
