"""What watchers of a run asked for and what reached them: `watch.jsonl`, beside the history.

A *watcher* is one client's wish to hear of an interval of keys for the whole run. It is
served by *streams*, one after the other: each is one watch at one member, and a watcher
that loses its stream, or gives it up, opens the next one at another member, as a rule
from where it stopped. Streams are numbered over the whole run.

    {"type":"opened","time":81,"stream":4,"watcher":1,"node":"n2","request":{"key":"w","range_end":"x"}}
    {"type":"created","time":93,"stream":4,"revision":17}
    {"type":"events","time":120,"stream":4,"revision":18,"changes":[{"revision":18,"kind":"put",…}]}
    {"type":"progress","time":190,"stream":4,"revision":18}
    {"type":"cancelled","time":200,"stream":4,"compact_revision":15}
    {"type":"closed","time":201,"stream":4,"why":"reconnects"}

Times are ns since the start of the run, by the clock of the history's events, and lines
stand in the order observed. A stream of which the last line was cut off has no `closed`.

Source: etcd's `rpc.proto` (Watch service).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change

FILE_NAME = "watch.jsonl"


class WatchRequest(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What one stream asks for; the interval as in `splitbrain.histories.kv.Range`.

    `start_revision` 0: from the next revision on. `ask_progress`: a progress request is
    sent right behind.
    """

    key: str
    range_end: str = ""
    start_revision: int = 0
    prev_kv: bool = False
    no_put: bool = False
    no_delete: bool = False
    progress_notify: bool = False
    fragment: bool = False
    ask_progress: bool = False


class Opened(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="opened"):
    """The watcher is about to ask `node`."""

    time: int
    stream: int
    watcher: int
    node: str
    request: WatchRequest


class Created(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="created"):
    """The member watches; its store was at `revision` then."""

    time: int
    stream: int
    revision: int


class Events(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="events"
):
    """One answer with events. `revision` is its header's. `previous` is empty if no event
    came with a prev_kv, else as long as `changes`. `fragment`: the next answer goes on
    with this one."""

    time: int
    stream: int
    revision: int
    changes: tuple[Change, ...]
    previous: tuple[KeyValue | None, ...] = ()
    fragment: bool = False


class Progress(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="progress"):
    """The member says that all events up to `revision` were sent."""

    time: int
    stream: int
    revision: int


class Cancelled(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="cancelled"
):
    """The member ended the watch; `compact_revision` other than 0: what it would have to
    send next was compacted, and this is the first revision that it still has."""

    time: int
    stream: int
    compact_revision: int = 0
    reason: str = ""


class Closed(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="closed"
):
    """The stream ended: given up by the watcher, or broken off (`why`).

    `settled` other than 0: it was closed at the end of the run, long after all members
    stood at this revision, so that everything up to it had time to arrive.
    """

    time: int
    stream: int
    why: str
    settled: int = 0


Answer = Events | Progress | Cancelled
Line = Opened | Created | Events | Progress | Cancelled | Closed


@dataclass(slots=True)
class WatchStream:
    """One watch at one member, and all that came of it, in order."""

    number: int
    watcher: int
    node: str
    request: WatchRequest
    opened: int
    created: Created | None = None
    """None: the member never answered."""
    answers: list[Answer] = field(default_factory=list)
    closed: Closed | None = None


class WatchRecorder:
    """Appends lines to `path`, each handed to the operating system before the call returns,
    as `splitbrain.histories.recorder` does. `now` gives ns since the start of the run."""

    def __init__(self, path: Path, now: Callable[[], int]) -> None:
        self.now = now
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._encode = msgspec.json.Encoder().encode
        self._streams = 0

    def open_stream(self, watcher: int, node: str, request: WatchRequest) -> int:
        """The number of the stream that begins now."""
        number = self._streams
        self._streams += 1
        self.write(Opened(self.now(), number, watcher, node, request))
        return number

    def write(self, line: Line) -> None:
        data = self._encode(line) + b"\n"
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def write_streams(path: Path, lines: Iterable[Line]) -> None:
    """A whole file at once, of lines in their order."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as out:
        out.writelines(encode(line) + b"\n" for line in lines)


def read_streams(path: Path) -> tuple[WatchStream, ...]:
    """The streams in `path`, by number; none if there is no such file, for most runs watch
    nothing. A last line cut short by a crash is dropped. Raises HistoryError with the line."""
    if not path.exists():
        return ()
    return collect(_lines(path))


def _lines(path: Path) -> Iterator[Line]:
    decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError as problem:
                if not line.endswith(b"\n"):
                    return
                raise HistoryError(
                    f"{path}:{number}: not a line of a watch: {problem}. Expected one JSON object "
                    'a line with "type" (opened, created, events, progress, cancelled, closed), '
                    '"time" and "stream"'
                ) from problem


def collect(lines: Iterable[Line]) -> tuple[WatchStream, ...]:
    """Lines sorted into streams. Raises HistoryError for a line of a stream never opened."""
    streams: dict[int, WatchStream] = {}
    for line in lines:
        if isinstance(line, Opened):
            if line.stream in streams:
                raise HistoryError(f"stream {line.stream} is opened twice")
            streams[line.stream] = WatchStream(
                line.stream, line.watcher, line.node, line.request, line.time
            )
            continue
        stream = streams.get(line.stream)
        if stream is None:
            raise HistoryError(f"stream {line.stream} has {type(line).__name__}, but never opened")
        if isinstance(line, Created):
            stream.created = line
        elif isinstance(line, Closed):
            stream.closed = line
        else:
            stream.answers.append(line)
    return tuple(streams[number] for number in sorted(streams))
