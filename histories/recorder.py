"""Writes a history as it is observed, a line an event.

Each event is handed to the operating system by one unbuffered write before the call
returns (about 3 µs with its encoding, so 4,000 events a second cost some 1 % of a
core): whatever then happens to the harness, what was observed stands in the file.
An invocation is therefore on record before its request leaves. Nothing is synced: a
crash of the machine is not what a history must survive.

Indexes count up from 0 and times never fall, since one thread records all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from splitbrain.histories.event import NEMESIS, Event, EventType, FaultEvent, Process
from splitbrain.histories.service import AnyRequest, AnyResult

NOTHING = msgspec.Raw(b"null")


class Recorder:
    """Appends events to `path`; those of the nemesis also to `nemesis_path`.

    Times are ns since the recorder was made (`origin_ns`, of `clock_ns`).
    Not to be shared by threads.
    """

    def __init__(
        self,
        path: Path,
        nemesis_path: Path | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o644)
        self._nemesis_file = os.open(nemesis_path, flags, 0o644) if nemesis_path else -1
        self._encode = msgspec.json.Encoder().encode
        self._index = 0
        self._clock_ns = clock_ns
        self.origin_ns = clock_ns()

    def now(self) -> int:
        """ns since the run's start."""
        return self._clock_ns() - self.origin_ns

    def invoke(self, process: int, f: str, request: AnyRequest, node: str) -> int:
        """A client is about to send `request` to `node`; the event's index."""
        return self._write(process, "invoke", f, msgspec.Raw(self._encode(request)), node, None)

    def ok(self, process: int, f: str, result: AnyResult, node: str) -> int:
        return self._write(process, "ok", f, msgspec.Raw(self._encode(result)), node, None)

    def fail(self, process: int, f: str, node: str, error: str) -> int:
        """It certainly did not happen."""
        return self._write(process, "fail", f, NOTHING, node, error)

    def info(self, process: int, f: str, node: str, error: str) -> int:
        """It may have happened, or may happen later. The caller retires `process`."""
        return self._write(process, "info", f, NOTHING, node, error)

    def fault(self, f: str, event: FaultEvent, error: str | None = None) -> int:
        """A fault's next phase, as an event of the nemesis."""
        value = msgspec.Raw(self._encode(event))
        return self._write(NEMESIS, "info", f, value, None, error)

    def close(self) -> None:
        """Safe to call twice; nothing can be recorded afterwards."""
        for file in (self._file, self._nemesis_file):
            if file >= 0:
                os.close(file)
        self._file = self._nemesis_file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(
        self,
        process: Process,
        type_: EventType,
        f: str,
        value: msgspec.Raw,
        node: str | None,
        error: str | None,
    ) -> int:
        index = self._index
        event = Event(index, self.now(), process, type_, f, value, node, error)
        line = self._encode(event) + b"\n"
        _write_whole(self._file, line)
        if process == NEMESIS and self._nemesis_file >= 0:
            _write_whole(self._nemesis_file, line)
        self._index = index + 1
        return index


def _write_whole(file: int, line: bytes) -> None:
    """All of `line`: a write to a nearly full disk may take only a part."""
    written = os.write(file, line)
    while written < len(line):
        written += os.write(file, line[written:])
