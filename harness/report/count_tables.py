"""What a checker counted, as tables: `Verdict.counts` may hold numbers, rows of numbers and
tables of them. Single numbers stand beside the verdict and are not here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ROWS_MAX = 60
COLUMNS_MAX = 24


@dataclass(frozen=True, slots=True)
class CountTable:
    """Rows with the same columns; a cell is a number, a text, or None for none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Any, ...]], ...]
    rows_beyond: int = 0


def single_counts(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are no row and no table."""
    return {name: count for name, count in counts.items() if not isinstance(count, Mapping)}


def count_tables(counts: Mapping[str, Any]) -> tuple[CountTable, ...]:
    """Rows with the same columns stand in one table, in the order of their first row."""
    rows_of: dict[tuple[str, ...], list[tuple[str, tuple[Any, ...]]]] = {}
    for name, row in _rows(counts):
        columns = tuple(str(column) for column in row)[:COLUMNS_MAX]
        rows_of.setdefault(columns, []).append((name, tuple(row.values())[:COLUMNS_MAX]))
    return tuple(
        CountTable(columns, tuple(rows[:ROWS_MAX]), max(0, len(rows) - ROWS_MAX))
        for columns, rows in rows_of.items()
    )


def _rows(counts: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, count in counts.items():
        if not isinstance(count, Mapping) or not count:
            continue
        if all(isinstance(row, Mapping) for row in count.values()):
            for of, row in count.items():
                yield f"{name} {of}", row
        else:
            yield name, count
