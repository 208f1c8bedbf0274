"""A history's file, read in one pass: each line decoded once, with its request or answer.

Lines are decoded in blocks, straight into requests and answers; no event is kept, so that
a history of a million operations takes some 1 KB an operation. What does not fit is read
again line by line, which says where and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, overload

import msgspec

from splitbrain.histories.event import NEMESIS, Event, Process
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.history import FaultWindow, History, Operation, fault_windows, read_events
from splitbrain.histories.kv import Range, Request, Result

BLOCK_BYTES = 1 << 20
NOTHING = msgspec.Raw(b"null")


class _Invoke(msgspec.Struct, gc=False, tag_field="type", tag="invoke"):
    index: int
    time: int
    process: int
    f: str
    value: Request
    node: str | None = None


class _Ok(msgspec.Struct, gc=False, tag_field="type", tag="ok"):
    index: int
    time: int
    process: int
    f: str
    value: Result


class _Fail(msgspec.Struct, gc=False, tag_field="type", tag="fail"):
    index: int
    time: int
    process: int
    f: str
    error: str | None = None


class _Info(msgspec.Struct, gc=False, tag_field="type", tag="info"):
    index: int
    time: int
    process: Process
    f: str
    value: msgspec.Raw = NOTHING
    node: str | None = None
    error: str | None = None


_Line = _Invoke | _Ok | _Fail | _Info


class _Unusual(Exception):
    """Something that only the reader line by line can judge."""


def read_history(path: Path) -> History:
    """The history in `path`. Raises HistoryError with the line that is none."""
    with collector_paused():
        try:
            return _Reader().read(path)
        except (_Unusual, msgspec.MsgspecError):
            return History.of(read_events(path))


class _Reader:
    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._pending: dict[int, tuple[int, _Invoke]] = {}
        self._nemesis: list[Event] = []
        self._names: dict[str | None, str] = {}
        """Of functions and nodes: each kept once."""

    def read(self, path: Path) -> History:
        decoder = msgspec.json.Decoder(_Line)
        with path.open("rb", buffering=0) as file:
            for block in _whole_lines(file):
                self._take(decoder.decode_lines(block))
        for place, invoke in self._pending.values():
            self._operations[place] = self._unanswered(invoke)
        operations, nemesis = tuple(self._operations), tuple(self._nemesis)
        windows: tuple[FaultWindow, ...] = tuple(fault_windows(nemesis))
        return History(EventsAnew(operations, nemesis), operations, windows)

    def _take(self, lines: list[_Line]) -> None:
        operations, pending, name = self._operations, self._pending, self._names.setdefault
        for line in lines:
            if type(line) is _Invoke:
                if line.process in pending:
                    raise _Unusual
                pending[line.process] = (len(operations), line)
                operations.append(_UNKNOWN)
                continue
            if line.process == NEMESIS:
                self._nemesis.append(_event(line))
                continue
            begun = pending.pop(line.process, None)
            if begun is None:
                raise _Unusual
            place, invoke = begun
            f, node, ended = invoke.f, invoke.node, line.time
            f = name(f, f)
            node = name(node, node) if node is not None else None
            if type(line) is _Ok:
                operations[place] = Operation(
                    invoke.process, f, node, "ok", invoke.value, line.value, None,
                    invoke.index, line.index, invoke.time, ended, ended,
                )
            elif type(line) is _Fail:
                operations[place] = Operation(
                    invoke.process, f, node, "fail", invoke.value, None, line.error,
                    invoke.index, line.index, invoke.time, ended, ended,
                )
            else:
                assert type(line) is _Info
                operations[place] = Operation(
                    invoke.process, f, node, "info", invoke.value, None, line.error,
                    invoke.index, line.index, invoke.time, None, ended,
                )

    def _unanswered(self, invoke: _Invoke) -> Operation:
        return Operation(
            invoke.process, invoke.f, invoke.node, "info", invoke.value, None, None,
            invoke.index, None, invoke.time, None, None,
        )


_UNKNOWN = Operation(-1, "", None, "info", Range(""), None, None, -1, None, 0, None)
"""Holds the place of an operation under way."""


def _event(line: _Line) -> Event:
    if type(line) is not _Info:
        raise _Unusual
    return Event(
        line.index, line.time, line.process, "info", line.f, line.value, line.node, line.error
    )


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Blocks of `file` that end with a line. A last line without an end is one of its own
    if it is JSON, and was cut short by a crash if not."""
    rest = b""
    while block := file.read(BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
    if rest:
        try:
            msgspec.json.decode(rest)
        except msgspec.MsgspecError:
            return
        yield rest


class EventsAnew(Sequence[Event]):
    """The events that `operations` and the `nemesis`' events came from, in order."""

    def __init__(self, operations: Sequence[Operation], nemesis: Sequence[Event]) -> None:
        self._operations = operations
        self._nemesis = nemesis
        self._made: tuple[Event, ...] | None = None

    @overload
    def __getitem__(self, place: int) -> Event: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Event]: ...
    def __getitem__(self, place: int | slice) -> Event | Sequence[Event]:
        return self._events()[place]

    def __len__(self) -> int:
        ends = sum(op.returned is not None for op in self._operations)
        return len(self._operations) + ends + len(self._nemesis)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._events() == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def _events(self) -> tuple[Event, ...]:
        if self._made is None:
            events = [*self._nemesis]
            for op in self._operations:
                events.extend(_events_of(op))
            self._made = tuple(sorted(events, key=attrgetter("index")))
        return self._made


def _events_of(op: Operation) -> Iterator[Event]:
    encode = msgspec.json.encode
    request = msgspec.Raw(encode(op.request))
    yield Event(op.invoked, op.call, op.process, "invoke", op.f, request, op.node)
    if op.returned is not None:
        answer = NOTHING if op.result is None else msgspec.Raw(encode(op.result))
        yield Event(
            op.returned, op.ended or 0, op.process, op.outcome, op.f, answer, op.node, op.error
        )
