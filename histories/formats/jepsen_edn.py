"""Reads and writes Jepsen's `history.edn`: one event on each line, or a vector of events.

    {:type :invoke, :f :txn, :value [[:append 9 1] [:r 11 nil]], :process 18, :time 16357277, :index 1}
    #jepsen.history.Op{:index 2, :time 31076248, :type :ok, :process 0, :f :read, :value [3 nil]}

Nearly all lines of a large history contain only numbers and keywords. Blocks of such lines are
converted to JSON by text replacement and decoded by msgspec. Any other block is read form by
form.

Source: jepsen.print/write-history!, jepsen.history/Op.
"""  # noqa: E501 - an original line of a file

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.edn import EdnError, TruncatedError, read_forms, write_edn
from splitbrain.histories.formats.foreign_operation import (
    BYTE_ORDER_MARK,
    ForeignEvent,
    ForeignOperation,
    Kind,
    check_client,
    check_index,
    check_value_present,
)
from splitbrain.histories.formats.value_identity import Float

BLOCK_BYTES = 1 << 20

KINDS: dict[Any, Kind] = {":invoke": "invoke", ":ok": "ok", ":fail": "fail", ":info": "info"}

_UNSUPPORTED = re.compile(rb'["\\;()#\0]')
_KEYWORDS = (b"type", b"process", b"f", b"value", b"time", b"index", b"invoke", b"ok", b"txn")
_MICRO_OPERATIONS = (b"append", b"r", b"w")
_KEYWORD = re.compile(rb":[^\s,\[\]{}]+")
_BARE_TAG = re.compile(rb"(?m)^#jepsen\.history\.Op(?=\{)")
_rows = msgspec.json.Decoder(list[list[Any]], float_hook=Float)
_FIELDS = frozenset(
    (":index", ":time", ":type", ":process", ":f", ":value", ":error", ":node", ":key")
)
_MAP = re.compile(r"\{[^{}]*:(type|f|process)\s")


def is_jepsen_edn(beginning: str) -> bool:
    """Return whether a file that starts with `beginning` is a `history.edn` of Jepsen.

    `beginning` is the whole file, or at least a few hundred characters.
    """
    try:
        for _, form in read_forms(beginning.removeprefix(BYTE_ORDER_MARK), enter=True):
            return isinstance(form, dict) and not {":type", ":process", ":f"}.isdisjoint(form)
    except EdnError:
        # The reader reports the error, or reads further if the form is only cut short.
        return bool(_MAP.search(beginning)) and ":type" in beginning
    return False


def read_jepsen_edn(path: Path) -> Iterator[ForeignEvent]:
    """Yield the events of `path`. Raises HistoryError with the line that is invalid."""
    last = -1
    for place, (line, row) in enumerate(_maps(path)):
        try:
            index = row.get(":index")
            if index is not None:
                last = check_index(_number("index", index), last)
            yield _event(place, row, line)
        except (HistoryError, TypeError, AttributeError) as problem:
            raise HistoryError(f"{path}:{line}: {problem}") from problem


def _maps(path: Path) -> Iterator[tuple[int, dict[Any, Any]]]:
    """Yield the EDN maps of the file, one for each event, with the numbers of their lines."""
    line = 1
    with path.open("rb") as file:
        if file.read(len(BOM_UTF8)) != BOM_UTF8:
            file.seek(0)
        while block := file.read(BLOCK_BYTES):
            block += file.readline()
            rows = quick_rows(block)
            if rows is not None:
                for line, row in enumerate(rows, start=line):  # noqa: B020
                    fields = dict(zip(row[::2], row[1::2], strict=True))
                    if len(fields) * 2 != len(row):
                        raise HistoryError(f"{path}:{line}: a map with the same key twice")
                    yield line, fields
                line += 1
                continue
            try:
                yield from list(_read_forms(path, block, line))
                line += block.count(b"\n")
            except TruncatedError:
                # A form has several lines, so the rest of the file is read as one text.
                yield from _read_forms(path, block + file.read(), line)
                return


def quick_rows(block: bytes) -> list[list[Any]] | None:
    """Return the maps of `block`, which has one map on each line.

    Each map is returned as a list in which keys and values alternate. Returns None if the block
    contains anything else than plain vectors, numbers and keywords, or does not have one map on
    each line.
    """
    block = _BARE_TAG.sub(b"", block)
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if _UNSUPPORTED.search(block) or block.count(b"{") != lines or block.count(b"}") != lines:
        return None
    text = b"\n" + block.rstrip(b"\n") + b"\n"
    if text.count(b"\n{") != lines or text.count(b"}\n") != lines:
        return None
    text = text.replace(b",", b" ").replace(b"  ", b" ").replace(b" ", b",")
    for end in (b",", b"]", b"}"):
        text = text.replace(b",nil" + end, b",null" + end)
    for word in _KEYWORDS:
        text = text.replace(b",:" + word + b",", b',"\0' + word + b'",')
    for word in _MICRO_OPERATIONS:
        text = text.replace(b"[:" + word + b",", b'["\0' + word + b'",')
    text = _KEYWORD.sub(rb'"\g<0>"', text).replace(b"\0", b":")
    text = text[2:-2].replace(b"}\n{", b"],[")
    try:
        rows = _rows.decode(b"[[" + text + b"]]")
    except msgspec.MsgspecError:
        return None
    return rows if all(len(row) % 2 == 0 for row in rows) else None


def _read_forms(path: Path, block: bytes, line: int) -> Iterator[tuple[int, dict[Any, Any]]]:
    """Yield the maps of `block`, whose first line is number `line`, read form by form."""
    try:
        text = block.decode()
    except UnicodeDecodeError as problem:
        at = line + block.count(b"\n", 0, problem.start)
        raise HistoryError(f"{path}:{at}: not UTF-8 text: expected EDN in UTF-8") from problem
    try:
        for at, form in read_forms(text, enter=True):
            if not isinstance(form, dict):
                raise HistoryError(
                    f"{path}:{line + at - 1}: {write_edn(form)[:80]} is not an operation: expected "
                    "a map such as {:process 0, :type :invoke, :f :read, :value nil}"
                )
            yield line + at - 1, form
    except TruncatedError as problem:
        if len(block) < BLOCK_BYTES:
            at = line + text.count("\n", 0, problem.at)
            raise HistoryError(
                f"{path}:{at}: {problem}, so the file is cut short: expected whole EDN forms"
            ) from problem
        raise
    except EdnError as problem:
        at = line + text.count("\n", 0, problem.at)
        raise HistoryError(f"{path}:{at}: not valid EDN: {problem}") from problem


def _event(place: int, row: dict[Any, Any], line: int) -> ForeignEvent:
    kind = KINDS.get(row.get(":type"))
    if kind is None:
        raise HistoryError(
            f":type is {write_edn(row.get(':type'))}: expected :invoke, :ok, :fail or :info"
        )
    if ":process" not in row:
        raise HistoryError("an operation has no :process: expected a number or :nemesis")
    process = row[":process"]
    client = process if type(process) is int else None
    if client is None:
        check_client(client, process, kind)
    f = row.get(":f")
    name = "txn" if f is None else f.removeprefix(":") if isinstance(f, str) else write_edn(f)
    if client is not None:
        if ":value" not in row:
            _check_spelling(row)
            check_value_present(name, kind)
        elif not row.keys() <= _FIELDS:
            _check_spelling(row)
    time = row.get(":time")
    error = row.get(":error")
    return ForeignEvent(
        place=place,
        process=client,
        type=kind,
        f=name,
        value=row.get(":value"),
        time=None if time is None else _number("time", time),
        error=None if error is None else error if isinstance(error, str) else write_edn(error),
        node=_node(row.get(":node")),
        line=line,
        key=row.get(":key"),
    )


def _number(field: str, value: Any) -> int:
    if type(value) is int:
        return value
    raise HistoryError(f":{field} is {write_edn(value)[:80]}: expected a whole number")


def _check_spelling(row: dict[Any, Any]) -> None:
    """Raise HistoryError if the name of a field is probably misspelled.

    This is assumed of an unknown field if its name is similar to that of a missing field. Any other
    unknown field is ignored, because Jepsen's tests add fields.
    """
    for name in row.keys() - _FIELDS:
        near = get_close_matches(str(name).lower(), _FIELDS - row.keys(), n=1, cutoff=0.75)
        if near:
            raise HistoryError(
                f"{write_edn(name)[:80]} is not a field of an operation: expected {near[0]}"
            )


def _node(value: Any) -> str | None:
    return None if value is None else str(value).removeprefix(":")


# --- writing -------------------------------------------------------------------


def edn_line(
    index: int, kind: str, f: str, value: Any, process: int | None, time: int, error: str | None
) -> str:
    """Return one event as Jepsen writes it, without a line end.

    `kind` is the type of the event, and `time` is in ns. If `process` is None, the event is one of
    the nemesis.
    """
    row: dict[str, Any] = {
        ":index": index, ":time": time, ":type": f":{kind}",
        ":process": ":nemesis" if process is None else process, ":f": f":{f}", ":value": value,
    }
    if error:
        row[":error"] = error
    return write_edn(row)


def write_jepsen_edn(operations: Sequence[ForeignOperation]) -> Iterator[str]:
    """Yield the lines of a `history.edn` with `operations`, in the order of their events.

    If any operation has a key, values are written as in Jepsen's independent tests: [key value].
    """
    keyed = any(op.key != "" for op in operations)
    events: list[tuple[int, str, ForeignOperation]] = []
    for op in operations:
        events.append((op.call, "invoke", op))
        if op.ended is not None:
            events.append((op.ended, op.outcome, op))
    events.sort(key=lambda event: event[0])
    for index, (_, kind, op) in enumerate(events):
        plain = op.answer if kind == "ok" else op.argument
        value = [op.key, plain] if keyed else plain
        recorded_ns = op.call_ns if kind == "invoke" else op.ended_ns
        time_ns = index if recorded_ns is None else recorded_ns
        error = None if kind == "invoke" else op.error
        yield edn_line(index, kind, op.f, value, op.process, time_ns, error)
