"""Reads plain JSON Lines: a history of any kind of object, with one event on each line.

    {"process": 0, "type": "invoke", "f": "write", "value": 3, "time": 1200}
    {"process": 0, "type": "ok", "f": "write", "value": 3, "time": 4100}

`process` is a number, or a string if the event is not of a client. `time` (in ns), `index`,
`key`, `node` and `error` may be left out. The model defines the meaning of `f` and `value`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import ForeignEvent, Kind


class _Line(msgspec.Struct, gc=False):
    process: int | str
    type: Kind
    f: str = "txn"
    value: Any = None
    time: int | None = None
    error: Any = None
    node: str | None = None
    key: Any = msgspec.UNSET


def is_json_lines(first_line: bytes) -> bool:
    """Whether a file with this first line has the format. Histories of this project have it too."""
    try:
        msgspec.json.decode(first_line, type=_Line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def read_json_lines(path: Path) -> Iterator[ForeignEvent]:
    """The events of `path`; blank lines are skipped.

    If an event has a `key`, its value becomes `[key, value]`. Raises HistoryError with the line
    that is invalid.
    """
    decoder = msgspec.json.Decoder(_Line)
    place = 0
    with path.open("rb") as lines:
        for number, text in enumerate(lines, start=1):
            if text.isspace():
                continue
            try:
                line = decoder.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
                cut = " (the file is cut short)" if not text.endswith(b"\n") else ""
                raise HistoryError(
                    f"{path}:{number}: not an event: {problem}{cut}. Expected a JSON object on "
                    'each line, with "process", "type", "f" and "value"'
                ) from problem
            process = line.process
            error = line.error
            yield ForeignEvent(
                place=place,
                process=process if isinstance(process, int) else None,
                type=line.type,
                f=line.f,
                value=line.value if line.key is msgspec.UNSET else [line.key, line.value],
                time=line.time,
                error=error if error is None or isinstance(error, str) else msgspec.json.encode(
                    error).decode(),
                node=line.node,
                line=number,
            )
            place += 1
