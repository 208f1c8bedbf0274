"""Divides the counts of a verdict (`Verdict.counts`) into single numbers and tables.

A count is a number, a row (a mapping of numbers) or a table (a mapping of rows).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ROWS_MAX = 60
COLUMNS_MAX = 24


@dataclass(frozen=True, slots=True)
class CountTable:
    """Rows with the same columns. A cell is a number, a text, or None if there is no value."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Any, ...]], ...]
    """The name of each row, and its cells."""
    rows_beyond: int = 0
    """The number of rows that were left out."""


def single_counts(counts: Mapping[str, Any]) -> dict[str, Any]:
    """The counts that are single numbers. The page shows them next to the verdict."""
    return {name: count for name, count in counts.items() if not isinstance(count, Mapping)}


def count_tables(counts: Mapping[str, Any]) -> tuple[CountTable, ...]:
    """The rows and tables of `counts`. Rows with the same columns form one table."""
    rows_of: dict[tuple[str, ...], list[tuple[str, tuple[Any, ...]]]] = {}
    for name, row in _rows(counts):
        columns = tuple(str(column) for column in row)[:COLUMNS_MAX]
        rows_of.setdefault(columns, []).append((name, tuple(row.values())[:COLUMNS_MAX]))
    return tuple(
        CountTable(columns, tuple(rows[:ROWS_MAX]), max(0, len(rows) - ROWS_MAX))
        for columns, rows in rows_of.items()
    )


def _rows(counts: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The name and the cells of each row, including the rows of tables."""
    for name, count in counts.items():
        if not isinstance(count, Mapping) or not count:
            continue
        if all(isinstance(row, Mapping) for row in count.values()):
            for row_name, row in count.items():
                yield f"{name} {row_name}", row
        else:
            yield name, count
