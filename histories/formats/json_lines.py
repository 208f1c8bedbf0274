"""Plain JSON Lines: a history of any object, one event a line.

    {"process": 0, "type": "invoke", "f": "write", "value": 3, "time": 1200}
    {"process": 0, "type": "ok", "f": "write", "value": 3, "time": 4100}

`process` is a number, or a text for whoever is no client; `time` (ns), `index`, `key`,
`node` and `error` may be left out. What `f` and `value` mean is the model's affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import Kind, LoggedEvent


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
    """Whether a file whose first line that is. Our own histories are such, too."""
    try:
        msgspec.json.decode(first_line, type=_Line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def read_json_lines(path: Path) -> Iterator[LoggedEvent]:
    """The events of `path`; blank lines are skipped. A `key` beside the value is put in
    front of it, as `[key, value]`. Raises HistoryError with the line."""
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
                    f"{path}:{number}: not an event: {problem}{cut}. Expected one JSON object a "
                    'line with "process", "type", "f" and "value"'
                ) from problem
            process = line.process
            error = line.error
            yield LoggedEvent(
                place,
                process if isinstance(process, int) else None,
                line.type,
                line.f,
                line.value if line.key is msgspec.UNSET else [line.key, line.value],
                line.time,
                error if error is None or isinstance(error, str) else msgspec.json.encode(
                    error).decode(),
                line.node,
                number,
            )
            place += 1
