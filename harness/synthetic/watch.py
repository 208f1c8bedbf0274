"""Generates valid runs with watchers, of any size, from a model of the store.

Clients write one revision in each millisecond (puts, deletes and transactions of several keys), and
compact from time to time. Each watcher watches an interval of keys through a sequence of streams,
each of which is open at a random member. Every third watcher has three watches on one connection. A
stream starts at the present revision, at a past, future or compacted one, or at the revision where
the previous stream ended. The same arguments give the same run.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from random import Random

import msgspec

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.watch.expected_events import Truth
from splitbrain.harness.synthetic.generator import Synthetic
from splitbrain.histories.event import Event
from splitbrain.histories.history import History
from splitbrain.histories.kv import (
    Compact,
    CompactResult,
    Delete,
    DeleteResult,
    Header,
    KeyValue,
    Put,
    PutResult,
    Request,
    Result,
    Txn,
    TxnResult,
)
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.random_stream import stream
from splitbrain.histories.watch import (
    Cancelled,
    Closed,
    Created,
    Events,
    Line,
    Opened,
    Progress,
    WatchRequest,
    collect,
)

MS = 1_000_000
KEYS = 12
COMPACT_EVERY = 400
COMPACT_BACK = 20
WATCHES = 3
"""The number of watches on one connection, for watchers that have several."""


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """A generated run: its history, its members' final states, and its watch streams as lines."""

    history: Synthetic
    lines: tuple[Line, ...]

    def evidence(self) -> Evidence:
        return Evidence(
            History.of(self.history.events), self.history.members, watches=collect(self.lines)
        )


class _Writers:
    """Writes one revision after another, each by one operation, and records these operations."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.changes: list[Change] = []
        self.events: list[Event] = []
        self.compacted: list[tuple[int, int]] = []
        """The compactions: (store revision, compacted revision)."""
        self.revision = 1
        self._versions: dict[str, tuple[int, int]] = {}
        """The create revision and the version of each existing key."""

    def run(self, writes: int) -> None:
        for number in range(1, writes + 1):
            parts = self._draw(number)
            self.revision += 1
            results = tuple(self._apply(part) for part in parts)
            begin = self.revision * MS
            request: Request = parts[0] if len(parts) == 1 else Txn((), parts)
            result: Result = results[0] if len(parts) == 1 else TxnResult(
                Header(), True, results
            )
            self._record(begin, request, result)
            if number % COMPACT_EVERY == 0:
                to = self.revision - COMPACT_BACK
                self._record(begin + MS * 3 // 4, Compact(to), CompactResult())
                self.compacted.append((self.revision, to))

    def _draw(self, number: int) -> tuple[Put | Delete, ...]:
        random = self._random
        count = random.choice((1, 1, 1, 2, 3))
        keys = random.sample(range(KEYS), count)
        parts: list[Put | Delete] = []
        for place, key in enumerate(keys):
            name = f"w{key:03d}"
            if name in self._versions and random.random() < 0.2:
                parts.append(Delete(name))
            else:
                parts.append(Put(name, f"{number}.{place}"))
        return tuple(parts)

    def _apply(self, part: Put | Delete) -> PutResult | DeleteResult:
        if isinstance(part, Delete):
            del self._versions[part.key]
            self.changes.append(Change(self.revision, "delete", part.key))
            return DeleteResult(deleted=1)
        create, version = self._versions.get(part.key, (self.revision, 0))
        self._versions[part.key] = create, version + 1
        self.changes.append(
            Change(
                revision=self.revision, kind="put", key=part.key, value=part.value,
                create_revision=create, version=version + 1,
            )
        )
        return PutResult()

    def _record(self, begin: int, request: Request, result: Result) -> None:
        f = type(request).__name__.lower()
        result = msgspec.structs.replace(result, header=Header(self.revision))
        for time, kind, value in ((begin, "invoke", request), (begin + MS // 5, "ok", result)):
            self.events.append(Event(
                index=len(self.events), time=time, process=0, type=kind, f=f,  # type: ignore[arg-type]
                value=msgspec.Raw(msgspec.json.encode(value)), node="n1",
            ))


class _Watchers:
    """Simulates watchers, which receive the changes of the writers, and records their streams."""

    def __init__(self, random: Random, writers: _Writers) -> None:
        self._random = random
        self._writers = writers
        self._truth = Truth(writers.changes, 1, writers.revision, final=True)
        self._last = writers.revision
        self.lines: list[Line] = []
        self._streams = 0
        self._time = 0

    def _write(self, line: Line) -> None:
        """Record `line`, at a later time than the previous line of its stream."""
        self._time = max(self._time + 1, line.time)
        self.lines.append(msgspec.structs.replace(line, time=self._time))

    def run(self, watcher: int) -> None:
        count = WATCHES if watcher % 3 == 2 else 1
        intervals = [_draw_request(self._random) for _ in range(count)]
        now = 1
        resume = [0] * count
        while now < self._last:
            until = min(self._last, now + self._random.randrange(20, 400))
            if self._last - until < 20:
                until = self._last
            node = f"n{self._random.randrange(3) + 1}"
            connection = self._streams if count > 1 else -1
            for place, interval in enumerate(intervals):
                start = self._draw_start(now, resume[place])
                opened = Opened(
                    time=now * MS + MS * 9 // 10, stream=self._streams, watcher=watcher, node=node,
                    request=msgspec.structs.replace(interval, start_revision=start),
                    connection=connection,
                )
                resume[place] = self._stream(opened, now, until)
            now = until

    def _compacted(self, now: int) -> int:
        """Return the revision to which the store is compacted when its revision is `now`."""
        return max((to for at, to in self._writers.compacted if at <= now), default=0)

    def _draw_start(self, now: int, resume: int) -> int:
        kind = self._random.random()
        if kind < 0.45 and resume:
            return resume
        if kind < 0.5:
            return max(1, self._compacted(now))
        if kind < 0.6:
            return 0
        if kind < 0.75:
            return now + 1 + self._random.randrange(30)
        return max(1, now - self._random.randrange(300))

    def _stream(self, opened: Opened, now: int, until: int) -> int:
        """Record the stream `opened`, which is open from the store's revision `now` to `until`.

        Returns the revision at which the watcher resumes.
        """
        self._streams += 1
        number, request, time = opened.stream, opened.request, opened.time
        self._time = time
        self._write(opened)
        self._write(Created(time, number, now))
        compacted = self._compacted(now)
        start = request.start_revision or now + 1
        last = until == self._last
        closed = Closed(
            until * MS + MS, number, "end" if last else "reconnects", self._last if last else 0
        )
        if start < compacted:
            self._write(Cancelled(time, number, compacted))
            self._write(closed)
            return compacted
        self._deliver(number, request, start, now, until)
        self._write(closed)
        return max(start, until + 1)

    def _deliver(
        self, number: int, request: WatchRequest, start: int, now: int, until: int
    ) -> None:
        selection = self._truth.selection(request)
        revisions = selection.revisions
        place = bisect_left(revisions, start)
        end = bisect_left(revisions, until + 1)
        while place < end:
            to = place + 1
            count_max = 1 + self._random.randrange(3) if revisions[place] > now else 20
            while to < end and (to - place < count_max or revisions[to] == revisions[to - 1]):
                if revisions[place] <= now < revisions[to]:
                    break
                to += 1
            revision = revisions[to - 1]
            time = max(now, revision) * MS + MS * 95 // 100
            self._batch(number, request, selection.changes[place:to], selection.places[place:to],
                        time, max(now, revision))
            place = to
            if request.progress_notify and self._random.random() < 0.2:
                until_next = revisions[place] - 1 if place < len(revisions) else self._last
                revision = min(until_next, max(now, revision))
                self._write(Progress(time, number, revision))

    def _batch(
        self, number: int, request: WatchRequest, changes: list[Change], places: list[int],
        time: int, revision: int,
    ) -> None:
        previous: tuple[KeyValue | None, ...] = ()
        if request.prev_kv:
            previous = tuple(self._truth.previous[place] for place in places)
        cut = len(changes)
        if request.fragment and len(changes) > 1:
            cut = self._random.randrange(1, len(changes) + 1)
        events = tuple(changes)
        if cut < len(changes):
            self._write(Events(
                time=time, stream=number, revision=revision, changes=events[:cut],
                previous=previous[:cut], fragment=True,
            ))
            events, previous = events[cut:], previous[cut:]
        self._write(Events(
            time=time, stream=number, revision=revision, changes=events, previous=previous
        ))


def _draw_request(random: Random) -> WatchRequest:
    kind = random.random()
    key, end = "w", "x"
    if kind < 0.2:
        key, end = f"w{random.randrange(KEYS):03d}", ""
    elif kind < 0.5:
        first = random.randrange(KEYS - 2)
        key, end = f"w{first:03d}", f"w{first + 2 + random.randrange(4):03d}"
    elif kind < 0.7:
        key, end = "\0", "\0"
    filtered = random.random()
    return WatchRequest(
        key, end,
        prev_kv=random.random() < 0.5,
        no_put=filtered < 0.15,
        no_delete=0.15 <= filtered < 0.3,
        progress_notify=random.random() < 0.5,
        fragment=random.random() < 0.3,
    )


def generate_watched(writes: int = 1000, watchers: int = 10, seed: int = 0) -> WatchedRun:
    """Generate a valid run of `writes` revisions and `watchers` watchers.

    On average, an event is sent to about half of the watchers.
    """
    writers = _Writers(stream(seed, "synthetic", "writers"))
    writers.run(writes)
    watching = _Watchers(stream(seed, "synthetic", "watchers"), writers)
    for watcher in range(watchers):
        watching.run(watcher)
    lines = sorted(watching.lines, key=lambda line: line.time)
    states = tuple(
        MemberState(
            name, revision=writers.revision, hash=7, hash_revision=writers.revision,
            leader_id=1, changes=tuple(writers.changes),
        )
        for name in ("n1", "n2", "n3")
    )
    return WatchedRun(Synthetic(tuple(writers.events), states), tuple(lines))
