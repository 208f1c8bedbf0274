"""Reads plain JSON Lines: a history of any kind of object, with one event on each line.

    {"process": 0, "type": "invoke", "f": "write", "value": 3, "time": 1200}
    {"process": 0, "type": "ok", "f": "write", "value": 3, "time": 4100}

The events may also be the elements of one JSON array. `process` is a number, or a string if the
event is not of a client. `time` (in ns), `index`, `key`, `node` and `error` may be left out; a
field of another name is an error. The model defines the meaning of `f` and `value`.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import (
    BYTE_ORDER_MARK,
    ForeignEvent,
    Kind,
    check_client,
    check_index,
    check_value_present,
)

_EXPECTED = (
    'Expected a JSON object on each line, with "process", "type", "f" and "value", and optionally '
    '"index", "time", "key", "node" and "error"'
)


class _Line(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    process: int | str
    type: Kind
    f: str = "txn"
    value: Any = msgspec.UNSET
    time: int | None = None
    error: Any = None
    node: str | None = None
    key: Any = None
    index: int | None = None


class _Sample(msgspec.Struct):
    """The fields that each event of a history in plain JSON Lines has."""

    process: int | str
    type: Kind


def is_json_lines(beginning: str) -> bool:
    """Return whether a file with this beginning is a history in plain JSON Lines.

    The result is also True for histories of this project. The caller must therefore test for the
    format of this project first.
    """
    text = beginning.removeprefix(BYTE_ORDER_MARK).lstrip()
    try:
        if text.startswith("["):
            form, _ = json.JSONDecoder().raw_decode(text[1:].lstrip())
            msgspec.convert(form, _Sample)
        else:
            msgspec.json.decode(text.partition("\n")[0], type=_Sample)
    except (ValueError, UnicodeEncodeError):
        return False
    return True


def read_json_lines(path: Path) -> Iterator[ForeignEvent]:
    """Yield the events of `path`; blank lines are skipped.

    Raises HistoryError with the line that is invalid.
    """
    last = -1
    for place, (number, line) in enumerate(_lines(path)):
        try:
            process = line.process if type(line.process) is int else None
            if process is None:
                check_client(process, line.process, line.type)
            value = line.value
            if value is msgspec.UNSET:
                if process is not None:
                    check_value_present(line.f, line.type)
                value = None
            if line.index is not None:
                last = check_index(line.index, last)
        except HistoryError as problem:
            raise HistoryError(f"{path}:{number}: {problem}") from problem
        error = line.error
        yield ForeignEvent(
            place=place,
            process=process,
            type=line.type,
            f=line.f,
            value=value,
            time=line.time,
            error=error if error is None or isinstance(error, str) else msgspec.json.encode(
                error).decode(),
            node=line.node,
            line=number,
            key=line.key,
        )


def _lines(path: Path) -> Iterator[tuple[int, _Line]]:
    """Yield the events of `path` with the numbers of their lines, from 1."""
    decoder = msgspec.json.Decoder(_Line)
    with path.open("rb") as lines:
        if lines.read(len(BOM_UTF8)) != BOM_UTF8:
            lines.seek(0)
        first = True
        for number, text in enumerate(lines, start=1):
            if text.isspace():
                continue
            if first and text.lstrip().startswith(b"["):
                yield from _array(path, text + lines.read(), number)
                return
            first = False
            try:
                yield number, decoder.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
                cut = " (the file is cut short)" if not text.endswith(b"\n") else ""
                raise HistoryError(
                    f"{path}:{number}: not an event: {problem}{cut}. {_EXPECTED}"
                ) from problem


def _array(path: Path, text: bytes, number: int) -> Iterator[tuple[int, _Line]]:
    """Yield the elements of the JSON array `text`, which begins on the line `number`."""
    try:
        elements = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise HistoryError(
            f"{path}:{number}: not a JSON array: {problem}. Expected an array of events, or one "
            "event on each line"
        ) from problem
    decoder = msgspec.json.Decoder(_Line)
    at = 0
    for element in elements:
        raw = bytes(element)
        begin = text.index(raw, at)
        number += text.count(b"\n", at, begin)
        try:
            yield number, decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
            raise HistoryError(
                f"{path}:{number}: not an event: {problem}. {_EXPECTED}"
            ) from problem
        number += raw.count(b"\n")
        at = begin + len(raw)
