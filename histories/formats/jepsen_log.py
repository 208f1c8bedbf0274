"""The log lines of a Jepsen test of one register, as porcupine's test data keeps them.

    INFO  jepsen.util - 3	:invoke	:cas	[2 4]
    INFO  jepsen.util - 3	:ok	:cas	[2 4]
    INFO  jepsen.util - 1	:invoke	:read	nil
    INFO  jepsen.util - 1	:ok	:read	4
    INFO  jepsen.util - 2	:info	:write	:timed-out

A read that `fail`ed says nothing; a `cas` that did found another value than it expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import (
    Kind,
    LoggedEvent,
    LoggedOperation,
    paired,
)

_LINE = re.compile(
    r"INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(\S.*?)\s*$"
)


def is_jepsen_log(first_line: str) -> bool:
    return bool(_LINE.match(first_line))


def read_jepsen_log(path: Path) -> list[LoggedOperation]:
    """The operations of `path` in the order of their calls; lines of other kinds are skipped.

    Raises HistoryError for what is no value of a register, a completion without an
    invocation, or a second invocation of one process while its first is under way.
    """
    return paired(_events(path), str(path))


def _events(path: Path) -> Iterator[LoggedEvent]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            match = _LINE.match(line)
            if match is None:
                continue
            timed_out = match[4] == ":timed-out"
            try:
                value = None if timed_out else _value(match[4])
            except ValueError as problem:
                raise HistoryError(
                    f"{path}:{number}: {match[4][:80]!r} is no value of a register; expected a "
                    "number, nil, or [number number]"
                ) from problem
            yield LoggedEvent(
                number, int(match[1]), cast("Kind", match[2]), match[3],
                value,
                error="timed out" if timed_out else None, line=number,
            )


def _value(text: str) -> Any:
    if text == "nil":
        return None
    if text.startswith("["):
        return tuple(int(part) for part in text.strip("[]").split())
    return int(text)
