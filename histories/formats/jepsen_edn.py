"""Jepsen's `history.edn`: one operation a line, or a vector of them.

    {:type :invoke, :f :txn, :value [[:append 9 1] [:r 11 nil]], :process 18, :time 16357277, :index 1}
    #jepsen.history.Op{:index 2, :time 31076248, :type :ok, :process 0, :f :read, :value [3 nil]}

Lines of plain numbers and keywords, which are nearly all lines of a large history, are
turned into JSON by replacing text, a block at a time, and decoded by msgspec; where a
block has anything else, it is read form by form.

Source: jepsen.print/write-history!, jepsen.history/Op.
"""  # noqa: E501 (a line as it is)

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.edn import Cut, EdnError, read_forms, write_edn
from splitbrain.histories.formats.foreign_operation import Kind, LoggedEvent, LoggedOperation

BLOCK_BYTES = 1 << 20

KINDS: dict[Any, Kind] = {":invoke": "invoke", ":ok": "ok", ":fail": "fail", ":info": "info"}

_ODD = re.compile(rb'["\\;()#\0]')
_USUAL = (b"type", b"process", b"f", b"value", b"time", b"index", b"invoke", b"ok", b"txn")
_MICRO = (b"append", b"r", b"w")
_KEYWORD = re.compile(rb":[^\s,\[\]{}]+")
_BARE_TAG = re.compile(rb"(?m)^#jepsen\.history\.Op(?=\{)")
_rows = msgspec.json.Decoder(list[list[Any]])
_OPENINGS = re.compile(r"\s*(;[^\n]*\n\s*)*[\[(]?\s*(#[\w.]+\s*)?\{[^{}]*:(type|f|process)\s")


def is_jepsen_edn(beginning: str) -> bool:
    """Whether a file that begins so is one; `beginning` is a few hundred characters."""
    return bool(_OPENINGS.match(beginning)) and ":type" in beginning


def read_jepsen_edn(path: Path) -> Iterator[LoggedEvent]:
    """The events of `path`. Raises HistoryError with the line."""
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
                yield from list(_slow(path, block, line))
                line += block.count(b"\n")
            except Cut:
                # Forms of several lines: from here on nothing is known of lines.
                yield from _slow(path, block + file.read(), line)
                return


def quick_rows(block: bytes) -> list[list[Any]] | None:
    """The maps of `block`, one a line, as lists of their keys and values in turn; None if
    it holds anything but plain vectors, numbers and keywords, or is not one map a line."""
    block = _BARE_TAG.sub(b"", block)
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if _ODD.search(block) or block.count(b"{") != lines or block.count(b"}") != lines:
        return None
    text = b"\n" + block.rstrip(b"\n") + b"\n"
    if text.count(b"\n{") != lines or text.count(b"}\n") != lines:
        return None
    text = text.replace(b",", b" ").replace(b"  ", b" ").replace(b" ", b",")
    for end in (b",", b"]", b"}"):
        text = text.replace(b",nil" + end, b",null" + end)
    for word in _USUAL:
        text = text.replace(b",:" + word + b",", b',"\0' + word + b'",')
    for word in _MICRO:
        text = text.replace(b"[:" + word + b",", b'["\0' + word + b'",')
    text = _KEYWORD.sub(rb'"\g<0>"', text).replace(b"\0", b":")
    text = text[2:-2].replace(b"}\n{", b"],[")
    try:
        rows = _rows.decode(b"[[" + text + b"]]")
    except msgspec.MsgspecError:
        return None
    return rows if all(len(row) % 2 == 0 for row in rows) else None


def _slow(path: Path, block: bytes, line: int) -> Iterator[tuple[int, dict[Any, Any]]]:
    try:
        text = block.decode()
    except UnicodeDecodeError as problem:
        at = line + block.count(b"\n", 0, problem.start)
        raise HistoryError(f"{path}:{at}: not UTF-8 text") from problem
    try:
        for at, form in read_forms(text, enter=True):
            if not isinstance(form, dict):
                raise HistoryError(
                    f"{path}:{line + at - 1}: {write_edn(form)[:80]} is no operation; expected a "
                    "map such as {:process 0, :type :invoke, :f :read, :value nil}"
                )
            yield line + at - 1, form
    except Cut as problem:
        if len(block) < BLOCK_BYTES:
            at = line + text.count("\n", 0, problem.at)
            raise HistoryError(f"{path}:{at}: {problem}; the file is cut short") from problem
        raise
    except EdnError as problem:
        at = line + text.count("\n", 0, problem.at)
        raise HistoryError(f"{path}:{at}: not EDN: {problem}") from problem


def _event(place: int, row: dict[Any, Any], line: int) -> LoggedEvent:
    kind = KINDS.get(row.get(":type"))
    if kind is None:
        raise HistoryError(
            f":type is {write_edn(row.get(':type'))}; expected :invoke, :ok, :fail or :info"
        )
    if ":process" not in row:
        raise HistoryError("an operation without :process; expected a number or :nemesis")
    process = row[":process"]
    f = row.get(":f")
    time = row.get(":time")
    error = row.get(":error")
    return LoggedEvent(
        place,
        process if isinstance(process, int) else None,
        kind,
        "txn" if f is None else f.removeprefix(":") if isinstance(f, str) else write_edn(f),
        row.get(":value"),
        time if isinstance(time, int) else None,
        None if error is None else error if isinstance(error, str) else write_edn(error),
        _node(row.get(":node")),
        line,
    )


def _node(value: Any) -> str | None:
    return None if value is None else str(value).removeprefix(":")


# --- writing -------------------------------------------------------------------


def edn_line(
    index: int, kind: str, f: str, value: Any, process: int | None, time: int, error: str | None
) -> str:
    """One operation as Jepsen writes it, without the line's end."""
    row: dict[str, Any] = {
        ":index": index, ":time": time, ":type": f":{kind}",
        ":process": ":nemesis" if process is None else process, ":f": f":{f}", ":value": value,
    }
    if error:
        row[":error"] = error
    return write_edn(row)


def write_jepsen_edn(operations: Sequence[LoggedOperation]) -> Iterator[str]:
    """The lines of `history.edn` for `operations`, in the order of their events.

    Keys, where there are any, stand as Jepsen's independent tests have them: [key value].
    """
    keyed = any(op.key != "" for op in operations)
    events: list[tuple[int, str, LoggedOperation]] = []
    for op in operations:
        events.append((op.call, "invoke", op))
        if op.ended is not None:
            events.append((op.ended, op.outcome, op))
    events.sort(key=lambda event: event[0])
    last = 0
    for index, (_, kind, op) in enumerate(events):
        said = op.answer if kind == "ok" else op.argument
        value = [op.key, said] if keyed else said
        ns = op.call_ns if kind == "invoke" else op.ended_ns
        last = index if ns is None else ns
        error = None if kind == "invoke" else op.error
        yield edn_line(index, kind, op.f, value, op.process, last, error)
