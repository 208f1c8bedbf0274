"""Reads the key-value logs of porcupine's test data: one EDN map on each line.

    {:process 0, :type :invoke, :f :append, :key "0", :value "x 0 0 y"}
    {:process 0, :type :ok, :f :append, :key "0", :value "x 0 0 y"}
    {:process 0, :type :invoke, :f :get, :key "7", :value nil}
    {:process 0, :type :ok, :f :get, :key "7", :value ""}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import (
    ForeignEvent,
    ForeignOperation,
    Kind,
    pair_operations,
)

_LINE = re.compile(
    r"\{:process (\d+), :type :(invoke|ok|fail|info), :f :(get|put|append), "
    r':key "([^"\\]*)", :value (?:nil|"([^"\\]*)")\}\s*$'
)


def is_porcupine_kv(first_line: str) -> bool:
    """Return whether a file with this first line is a key-value log of porcupine's test data."""
    return bool(_LINE.match(first_line))


def read_porcupine_kv(path: Path) -> list[ForeignOperation]:
    """Return the operations of `path` in the order of their calls; blank lines are skipped.

    Raises HistoryError with the line that is invalid.
    """
    return pair_operations(_events(path), str(path))


def _events(path: Path) -> Iterator[ForeignEvent]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue
            match = _LINE.match(line)
            if match is None:
                raise HistoryError(
                    f"{path}:{number}: {line[:80]!r} is not a line of porcupine's key-value "
                    "logs: expected {:process N, :type :invoke, :f :get, :key K, :value V}. "
                    "--format jepsen-edn reads other fields, and escapes in strings"
                )
            yield ForeignEvent(
                place=number, process=int(match[1]), type=cast("Kind", match[2]), f=match[3],
                value=match[5], line=number, key=match[4],
            )
