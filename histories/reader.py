"""Reads a history's file: fast by blocks of lines, or slowly event by event.

The fast reader decodes each line once, directly into a request or an answer. It keeps no events, so
a history of a million operations takes about 1 KB of memory for each operation. It supports only
operations of the key-value service, and raises `UnusualLine` for any other line.
`splitbrain.histories.history.History.read` then reads the file event by event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, Generic, overload

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.event import NEMESIS, Event, Process
from splitbrain.histories.fault_window import FaultWindow, fault_windows
from splitbrain.histories.kv import KeyT, Range, RequestWithKeys, ResultWithKeys
from splitbrain.histories.operation import Operation
from splitbrain.histories.shared_keys import SharedKeyDecoder

BLOCK_BYTES = 1 << 17
"""The decoded lines of a block of this size fit into the second-level cache of the processor."""
NULL = msgspec.Raw(b"null")


def read_events(path: Path) -> Iterator[Event]:
    """Yield the events of `path` one by one; a last line that a crash cut short is dropped.

    Raises HistoryError with the line that is not an event.
    """
    decoder = msgspec.json.Decoder(Event)
    last = -1
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue
            try:
                event = decoder.decode(line)
                if event.index <= last:
                    raise HistoryError(
                        f"{path}:{number}: the index is {event.index} after {last}: expected "
                        "indexes that increase from line to line"
                    )
                last = event.index
                yield event
            except msgspec.MsgspecError as problem:
                if not line.endswith(b"\n"):
                    return
                raise HistoryError(
                    f"{path}:{number}: not an event of a history: {problem}. Expected a JSON "
                    'object on each line, with "index", "time", "process", "type" and "f"'
                ) from problem


class _Invoke(
    msgspec.Struct, Generic[KeyT], gc=False, tag_field="type", tag="invoke",
    forbid_unknown_fields=True,
):
    index: int
    time: int
    process: int
    f: str
    value: RequestWithKeys[KeyT]
    node: str | None = None


class _Ok(
    msgspec.Struct, Generic[KeyT], gc=False, tag_field="type", tag="ok",
    forbid_unknown_fields=True,
):
    index: int
    time: int
    process: int
    f: str
    value: ResultWithKeys[KeyT]
    node: str | None = None


class _Fail(
    msgspec.Struct, gc=False, tag_field="type", tag="fail", forbid_unknown_fields=True
):
    index: int
    time: int
    process: int
    f: str
    value: None = None
    error: str | None = None
    node: str | None = None


class _Info(
    msgspec.Struct, gc=False, tag_field="type", tag="info", forbid_unknown_fields=True
):
    index: int
    time: int
    process: Process
    f: str
    value: msgspec.Raw = NULL
    node: str | None = None
    error: str | None = None


_LineWithKeys = _Invoke[KeyT] | _Ok[KeyT] | _Fail | _Info
_Line = _Invoke | _Ok | _Fail | _Info


class UnusualLine(Exception):
    """Raised for a line that is invalid, or that the fast reader does not support."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """The content of a history's file that has only operations of the key-value service."""

    events: Sequence[Event]
    operations: tuple[Operation, ...]
    faults: tuple[FaultWindow, ...]


def read_blocks(path: Path) -> FileContent:
    """Read the file `path` in blocks of lines; a last line that a crash cut short is dropped.

    Raises UnusualLine or msgspec.MsgspecError for a line that this reader does not support.
    """
    return _BlockReader().read(path)


class _BlockReader:
    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._pending: dict[int, tuple[int, _Invoke]] = {}
        self._nemesis: list[Event] = []
        self._last = -1
        """The index of the last event."""
        self._names: dict[str | None, str] = {}
        """Names of functions and nodes, so that each is in memory once."""

    def read(self, path: Path) -> FileContent:
        decoder: SharedKeyDecoder[_Line] = SharedKeyDecoder(_LineWithKeys)
        with path.open("rb", buffering=0) as file:
            for block in _whole_lines(file):
                self._take(decoder.decode_lines(block))
        for place, invoke in self._pending.values():
            self._operations[place] = self._without_completion(invoke)
        operations, nemesis = tuple(self._operations), tuple(self._nemesis)
        faults = tuple(fault_windows(nemesis))
        return FileContent(RebuiltEvents(operations, nemesis), operations, faults)

    def _take(self, lines: list[_Line]) -> None:
        operations, pending, name = self._operations, self._pending, self._names.setdefault
        last = self._last
        for line in lines:
            if line.index <= last:
                raise UnusualLine
            last = line.index
            if type(line) is _Invoke:
                if line.process in pending:
                    raise UnusualLine
                pending[line.process] = (len(operations), line)
                operations.append(_PENDING)
                continue
            if line.process == NEMESIS:
                self._nemesis.append(_event(line))
                continue
            found = pending.pop(line.process, None)
            if found is None:
                raise UnusualLine
            place, invoke = found
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
        self._last = last

    def _without_completion(self, invoke: _Invoke) -> Operation:
        return Operation(
            invoke.process, invoke.f, invoke.node, "info", invoke.value, None, None,
            invoke.index, None, invoke.time, None, None,
        )


_PENDING = Operation(-1, "", None, "info", Range(""), None, None, -1, None, 0, None)
"""A placeholder in the list for an operation whose completion has not been read yet."""


def _event(line: _Line) -> Event:
    if type(line) is not _Info:
        raise UnusualLine
    return Event(
        line.index, line.time, line.process, "info", line.f, line.value, line.node, line.error
    )


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield blocks of `file` that contain whole lines.

    A last line without a line end is part of the last block if it is valid JSON. Otherwise a crash
    cut the line short, and the line is dropped.
    """
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


class RebuiltEvents(Sequence[Event]):
    """The events of a history, rebuilt from its operations at the first access.

    `nemesis` contains the events of the nemesis. The events are in the order of their indexes.
    """

    def __init__(self, operations: Sequence[Operation], nemesis: Sequence[Event]) -> None:
        self._operations = operations
        self._nemesis = nemesis
        self._events: tuple[Event, ...] | None = None

    @overload
    def __getitem__(self, place: int) -> Event: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Event]: ...
    def __getitem__(self, place: int | slice) -> Event | Sequence[Event]:
        return self._rebuilt()[place]

    def __len__(self) -> int:
        ends = sum(op.returned is not None for op in self._operations)
        return len(self._operations) + ends + len(self._nemesis)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._rebuilt() == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def _rebuilt(self) -> tuple[Event, ...]:
        if self._events is None:
            events = [*self._nemesis]
            for op in self._operations:
                events.extend(_events_of(op))
            self._events = tuple(sorted(events, key=attrgetter("index")))
        return self._events


def _events_of(op: Operation) -> Iterator[Event]:
    encode = msgspec.json.encode
    request = msgspec.Raw(encode(op.request))
    yield Event(op.invoked, op.call, op.process, "invoke", op.f, request, op.node)
    if op.returned is not None:
        answer = NULL if op.result is None else msgspec.Raw(encode(op.result))
        yield Event(
            op.returned, op.ended or 0, op.process, op.outcome, op.f, answer, op.node, op.error
        )
