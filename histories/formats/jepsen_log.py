"""Reads the log lines of a Jepsen test of one register, as in porcupine's test data.

    INFO  jepsen.util - 3	:invoke	:cas	[2 4]
    INFO  jepsen.util - 3	:ok	:cas	[2 4]
    INFO  jepsen.util - 1	:invoke	:read	nil
    INFO  jepsen.util - 1	:ok	:read	4
    INFO  jepsen.util - 2	:info	:write	:timed-out

A read that ended in `fail` gives no information. A `cas` that ended in `fail` found another
value than the expected one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import (
    ForeignEvent,
    ForeignOperation,
    Kind,
    pair_operations,
)

_LINE = re.compile(
    r"INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(\S.*?)\s*$"
)


def is_jepsen_log(first_line: str) -> bool:
    """Return whether a file with this first line contains log lines of a Jepsen register test."""
    return bool(_LINE.match(first_line))


def read_jepsen_log(path: Path) -> list[ForeignOperation]:
    """Return the operations of `path` in the order of their calls.

    Log lines of other kinds are skipped. Raises HistoryError for a value that does not belong to a
    register, and for a completion without an invocation. Also raises it for a second invocation of
    a process while its first is pending.
    """
    return pair_operations(_events(path), str(path))


def _events(path: Path) -> Iterator[ForeignEvent]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            match = _LINE.match(line)
            if match is None:
                continue
            timed_out = match[4] == ":timed-out"
            try:
                value = None if timed_out else _value(match[4])
            except ValueError as problem:
                raise HistoryError(
                    f"{path}:{number}: {match[4][:80]!r} is not a value of a register: "
                    "expected a number, nil, or [number number]"
                ) from problem
            yield ForeignEvent(
                place=number, process=int(match[1]), type=cast("Kind", match[2]), f=match[3],
                value=value,
                error="timed out" if timed_out else None, line=number,
            )


def _value(text: str) -> Any:
    if text == "nil":
        return None
    if text.startswith("["):
        return tuple(int(part) for part in text.strip("[]").split())
    return int(text)
