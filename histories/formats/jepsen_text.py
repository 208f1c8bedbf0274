"""Reads Jepsen's `history.txt`: process, type, function, value and error, separated by tabs.

    0	:invoke	:read	nil
    0	:ok	:read	3
    :nemesis	:info	:start	nil
    2	:info	:write	4	:timed-out

The file contains no times. Source: jepsen.print/prn-op.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.edn import EdnError, read_edn
from splitbrain.histories.formats.foreign_operation import ForeignEvent, Kind, check_client

_LINE = re.compile(r"(:?[\w.-]+)\t:(invoke|ok|fail|info)\t:?([^\t]+)\t([^\t]*)(?:\t(.*))?\s*$")


def is_jepsen_text(first_line: str) -> bool:
    """Return whether a file with this first line is a `history.txt` of Jepsen."""
    return bool(_LINE.match(first_line))


def read_jepsen_text(path: Path) -> Iterator[ForeignEvent]:
    """Yield the events of `path`. Raises HistoryError with the line that is invalid."""
    values: dict[str, Any] = {}
    place = 0
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue
            found = _LINE.match(line)
            if found is None:
                raise HistoryError(
                    f"{path}:{number}: {line[:80]!r} is not a line of a history.txt: expected "
                    "process, type, function and value, separated by tabs"
                )
            process, kind, f, text, error = found.groups()
            if text not in values:
                try:
                    values[text] = read_edn(text)
                except EdnError as problem:
                    raise HistoryError(f"{path}:{number}: not valid EDN: {problem}") from problem
            type_: Kind = kind  # type: ignore[assignment]
            client = int(process) if process.isdecimal() else None
            try:
                check_client(client, None if process == "nil" else process, type_)
            except HistoryError as problem:
                raise HistoryError(f"{path}:{number}: {problem}") from problem
            yield ForeignEvent(
                place=place, process=client, type=type_, f=f, value=values[text], error=error,
                line=number,
            )
            place += 1
