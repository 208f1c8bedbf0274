"""Defines and stores the requests and answers of a run's watchers: the file `watch.jsonl`.

A *watcher* is a client that watches an interval of keys during the whole run. A *stream* is one
watch at one member. Usually a watcher has one stream at a time. If the watcher loses or closes this
stream, it opens the next one at another member, usually from the revision where the last one ended.
Streams are numbered over the whole run.

A watcher can also have several streams at the same time, on one connection. The field `connection`
of such a stream is the number of the first stream on the connection.

    {"type":"opened","time":81,"stream":4,"watcher":1,"node":"n2","request":{"key":"w","range_end":"x"}}
    {"type":"listed","time":90,"stream":4,"began":82,"revision":17,"kvs":[{"key":"w","value":"1",…}]}
    {"type":"created","time":93,"stream":4,"revision":17}
    {"type":"events","time":120,"stream":4,"revision":18,"changes":[{"revision":18,"kind":"put",…}]}
    {"type":"progress","time":190,"stream":4,"revision":18}
    {"type":"cancelled","time":200,"stream":4,"compact_revision":15}
    {"type":"closed","time":201,"stream":4,"why":"reconnects"}

Times are in ns since the start of the run, by the clock of the history's events. Lines are in the
order in which they were observed. A stream has no `closed` if the file was cut short before it.

Source: etcd's `rpc.proto` (Watch service).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change

FILE_NAME = "watch.jsonl"


class WatchRequest(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The request of one stream. The interval is defined as in `splitbrain.histories.kv.Range`.

    With `start_revision` 0, the watch starts from the next revision. With `ask_progress`, a
    progress request is sent right after the watch request.

    `watch_id` is the id that the client chooses for the watch (0: the member chooses one).
    A request with `later_us` is sent after the other requests of its connection: that many µs later
    in a simulated run, and at once in a real run. Just before the requests with `later_us`, the
    client cancels all watches of the connection whose `cancel` is True.

    If `ask_every_us` is not 0, the client of a simulated run sends a progress request again and
    again on the open stream, with this pause between two requests. In a real run it sends none.
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
    watch_id: int = 0
    cancel: bool = False
    later_us: int = 0
    ask_every_us: int = 0


class Opened(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="opened"
):
    """The watcher is about to send `request` to `node`."""

    time: int
    stream: int
    watcher: int
    node: str
    request: WatchRequest
    connection: int = -1
    """The number of the first stream on the same connection; -1 if this watch is the only one."""


class Listed(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="listed"):
    """Before the watch, the watcher has read the keys of its interval, in pages, at `revision`.

    The watch begins at the next revision. The reads began at the time `began`.
    """

    time: int
    stream: int
    began: int
    revision: int
    kvs: tuple[KeyValue, ...]


class Created(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="created"
):
    """The member created the watch; its store was at `revision` at that time.

    `watch_id` is the id of the watch on its connection (-1: unknown).
    """

    time: int
    stream: int
    revision: int
    watch_id: int = -1


class Events(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="events"
):
    """One answer with events.

    `revision` is the revision in the answer's header. `previous` contains the prev_kv of each of
    the `changes`, or is empty if no event has a prev_kv. With `fragment`, the next answer continues
    this one.
    """

    time: int
    stream: int
    revision: int
    changes: tuple[Change, ...]
    previous: tuple[KeyValue | None, ...] = ()
    fragment: bool = False


class Progress(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="progress"
):
    """The member reports that it has sent all events up to `revision`.

    With `whole`, the member sent one report for all watches on the connection, as it does to answer
    a progress request. The report is then recorded once for each of these watches.
    """

    time: int
    stream: int
    revision: int
    whole: bool = False


class Stray(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="stray"):
    """An answer on the connection of `stream` that belongs to none of its watches.

    `watch_id` is the id of the watch in the answer, and `revision` the revision in its header.
    """

    time: int
    stream: int
    watch_id: int
    revision: int


class Cancelled(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="cancelled"
):
    """The member ended the watch.

    If `compact_revision` is not 0, the watch ended because the events to send next were compacted.
    `compact_revision` is then the first revision from which a watch can still start.
    """

    time: int
    stream: int
    compact_revision: int = 0
    reason: str = ""


class Closed(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="closed"
):
    """The stream ended because the watcher closed it or the connection broke; `why` is the reason.

    If `settled` is not 0, the stream was open until the end of the run. All members had reached the
    revision `settled` long before, so that all events up to this revision had time to arrive.
    """

    time: int
    stream: int
    why: str
    settled: int = 0


Answer = Events | Progress | Cancelled
Line = Opened | Listed | Created | Events | Progress | Cancelled | Stray | Closed


@dataclass(slots=True)
class WatchStream:
    """One watch at one member, and its answers in order."""

    number: int
    watcher: int
    node: str
    request: WatchRequest
    opened: int
    created: Created | None = None
    """The creation of the watch, or None if the member never confirmed it."""
    listed: Listed | None = None
    """The keys that the watcher read before, or None if it read no list."""
    answers: list[Answer] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)
    closed: Closed | None = None
    connection: int = -1
    """The number of the first stream on the same connection; -1 if this watch is the only one."""


class WatchRecorder:
    """Appends lines to the file `path`.

    Each line is passed to the operating system before the call returns, as in
    `splitbrain.histories.recorder`. `now` returns the ns since the start of the run.
    """

    def __init__(self, path: Path, now: Callable[[], int]) -> None:
        self.now = now
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._encode = msgspec.json.Encoder().encode
        self._streams = 0

    def open_streams(
        self, watcher: int, node: str, requests: Sequence[WatchRequest]
    ) -> Sequence[int]:
        """Record that `watcher` opens streams on one connection to `node`, one for each request.

        Returns the numbers of the streams.
        """
        first = self._streams
        self._streams += len(requests)
        for number, request in enumerate(requests, start=first):
            self.write(Opened(
                time=self.now(), stream=number, watcher=watcher, node=node, request=request,
                connection=first if len(requests) > 1 else -1,
            ))
        return range(first, self._streams)

    def write(self, line: Line) -> None:
        data = self._encode(line) + b"\n"
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Close the file. It may be called twice."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def write_streams(path: Path, lines: Iterable[Line]) -> None:
    """Write the whole file `path` from `lines` in their order."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as out:
        out.writelines(encode(line) + b"\n" for line in lines)


def read_streams(path: Path) -> tuple[WatchStream, ...]:
    """Return the streams in the file `path`, in the order of their numbers.

    Returns () if there is no such file, because most runs have no watchers. A last line that a
    crash cut short is dropped. Raises HistoryError with the line that is invalid.
    """
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
                    f"{path}:{number}: not an event of a watch: {problem}. Expected a JSON object "
                    'on each line, with "time", "stream" and a "type" (opened, listed, created, '
                    "events, progress, cancelled, stray or closed)"
                ) from problem


def collect(lines: Iterable[Line]) -> tuple[WatchStream, ...]:
    """Collect the lines of each stream. Raises HistoryError if a line's stream is not open."""
    streams: dict[int, WatchStream] = {}
    for line in lines:
        if isinstance(line, Opened):
            if line.stream in streams:
                raise HistoryError(
                    f"stream {line.stream} is opened twice; expected a new number for each stream"
                )
            streams[line.stream] = WatchStream(
                number=line.stream, watcher=line.watcher, node=line.node, request=line.request,
                opened=line.time, connection=line.connection,
            )
            continue
        stream = streams.get(line.stream)
        if stream is None:
            raise HistoryError(
                f"stream {line.stream} has a line of the type {type(line).__name__.lower()!r} "
                'before its line of the type "opened"'
            )
        if isinstance(line, Created):
            stream.created = line
        elif isinstance(line, Listed):
            stream.listed = line
        elif isinstance(line, Closed):
            stream.closed = line
        elif isinstance(line, Stray):
            stream.strays.append(line)
        else:
            stream.answers.append(line)
    return tuple(streams[number] for number in sorted(streams))
