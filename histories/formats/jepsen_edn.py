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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.edn import EdnError, TruncatedError, read_forms, write_edn
from splitbrain.histories.formats.foreign_operation import ForeignEvent, ForeignOperation, Kind

BLOCK_BYTES = 1 << 20

KINDS: dict[Any, Kind] = {":invoke": "invoke", ":ok": "ok", ":fail": "fail", ":info": "info"}

_UNSUPPORTED = re.compile(rb'["\\;()#\0]')
_KEYWORDS = (b"type", b"process", b"f", b"value", b"time", b"index", b"invoke", b"ok", b"txn")
_MICRO_OPERATIONS = (b"append", b"r", b"w")
_KEYWORD = re.compile(rb":[^\s,\[\]{}]+")
_BARE_TAG = re.compile(rb"(?m)^#jepsen\.history\.Op(?=\{)")
_rows = msgspec.json.Decoder(list[list[Any]])
_OPENINGS = re.compile(r"\s*(;[^\n]*\n\s*)*[\[(]?\s*(#[\w.]+\s*)?\{[^{}]*:(type|f|process)\s")


def is_jepsen_edn(beginning: str) -> bool:
    """Whether a file has the format; `beginning` are its first few hundred characters or more."""
    return bool(_OPENINGS.match(beginning)) and ":type" in beginning


def read_jepsen_edn(path: Path) -> Iterator[ForeignEvent]:
    """The events of `path`. Raises HistoryError with the line that is invalid."""
    for place, (line, row) in enumerate(_maps(path)):
        try:
            yield _event(place, row, line)
        except (HistoryError, TypeError, AttributeError) as problem:
            raise HistoryError(f"{path}:{line}: {problem}") from problem


def _maps(path: Path) -> Iterator[tuple[int, dict[Any, Any]]]:
    """The maps of the file, each with the number of its line."""
    line = 1
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            block += file.readline()
            rows = quick_rows(block)
            if rows is not None:
                for line, row in enumerate(rows, start=line):  # noqa: B020
                    yield line, dict(zip(row[::2], row[1::2], strict=True))
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
    """The maps of `block`, which has one map on each line.

    Each map is returned as a list in which keys and values alternate. Returns None if the block
    contains anything but plain vectors, numbers and keywords, or does not have one map on each
    line.
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
    """The maps of `block`, whose first line is number `line`, read form by form."""
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
    f = row.get(":f")
    time = row.get(":time")
    error = row.get(":error")
    return ForeignEvent(
        place=place,
        process=process if isinstance(process, int) else None,
        type=kind,
        f="txn" if f is None else f.removeprefix(":") if isinstance(f, str) else write_edn(f),
        value=row.get(":value"),
        time=time if isinstance(time, int) else None,
        error=None if error is None else error if isinstance(error, str) else write_edn(error),
        node=_node(row.get(":node")),
        line=line,
    )


def _node(value: Any) -> str | None:
    return None if value is None else str(value).removeprefix(":")


# --- writing -------------------------------------------------------------------


def edn_line(
    index: int, kind: str, f: str, value: Any, process: int | None, time: int, error: str | None
) -> str:
    """One event as Jepsen writes it, without a line end. `process` None is the nemesis."""
    row: dict[str, Any] = {
        ":index": index, ":time": time, ":type": f":{kind}",
        ":process": ":nemesis" if process is None else process, ":f": f":{f}", ":value": value,
    }
    if error:
        row[":error"] = error
    return write_edn(row)


def write_jepsen_edn(operations: Sequence[ForeignOperation]) -> Iterator[str]:
    """The lines of a `history.edn` with `operations`, in the order of their events.

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
