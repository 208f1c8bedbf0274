"""Runs with watchers, from a model of the store: valid ones of any size, and spoilt ones.

Writers make one revision a millisecond (puts, deletes, transactions of several keys) and
compact now and then. Each watcher follows its interval through one stream after the
other, at another member each, from the present, the past, the future, from where it
stopped, or from what is compacted. The same arguments give the same run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

import msgspec

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.model.sequential_store import in_interval
from splitbrain.checkers.watch.expected_events import Truth, passes
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


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """The history and members of a run, and the lines of its watches in order."""

    made: Synthetic
    lines: tuple[Line, ...]

    def evidence(self) -> Evidence:
        return Evidence(
            History.of(self.made.events), self.made.members, watches=collect(self.lines)
        )


class _Writers:
    """One revision after the other, each by an operation of its own."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self.changes: list[Change] = []
        self.events: list[Event] = []
        self.compacted: list[tuple[int, int]] = []
        """(revision at which, revision to which)."""
        self.revision = 1
        self._held: dict[str, tuple[int, int]] = {}

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
        chance = self._chance
        count = chance.choice((1, 1, 1, 2, 3))
        keys = chance.sample(range(KEYS), count)
        parts: list[Put | Delete] = []
        for place, key in enumerate(keys):
            name = f"w{key:03d}"
            if name in self._held and chance.random() < 0.2:
                parts.append(Delete(name))
            else:
                parts.append(Put(name, f"{number}.{place}"))
        return tuple(parts)

    def _apply(self, part: Put | Delete) -> PutResult | DeleteResult:
        if isinstance(part, Delete):
            del self._held[part.key]
            self.changes.append(Change(self.revision, "delete", part.key))
            return DeleteResult(deleted=1)
        create, version = self._held.get(part.key, (self.revision, 0))
        self._held[part.key] = create, version + 1
        self.changes.append(
            Change(self.revision, "put", part.key, part.value, create, version + 1)
        )
        return PutResult()

    def _record(self, begin: int, request: Request, result: Result) -> None:
        f = type(request).__name__.lower()
        result = msgspec.structs.replace(result, header=Header(self.revision))
        for time, kind, value in ((begin, "invoke", request), (begin + MS // 5, "ok", result)):
            self.events.append(Event(
                len(self.events), time, 0, kind, f,  # type: ignore[arg-type]
                msgspec.Raw(msgspec.json.encode(value)), "n1",
            ))


class _Watchers:
    """Streams over the log that the writers left."""

    def __init__(self, chance: Random, writers: _Writers) -> None:
        self._chance = chance
        self._writers = writers
        self._truth = Truth(writers.changes, 1, writers.revision, final=True)
        self._last = writers.revision
        self.lines: list[Line] = []
        self._streams = 0
        self._time = 0

    def _write(self, line: Line) -> None:
        """Times of a stream rise, though much of it comes at once."""
        self._time = max(self._time + 1, line.time)
        self.lines.append(msgspec.structs.replace(line, time=self._time))

    def run(self, watcher: int) -> None:
        asks = _draw_request(self._chance)
        stands, resume = 1, 0
        while stands < self._last:
            until = min(self._last, stands + self._chance.randrange(20, 400))
            if self._last - until < 20:
                until = self._last
            start = self._draw_start(stands, resume)
            request = msgspec.structs.replace(asks, start_revision=start)
            resume = self._stream(watcher, request, stands, until)
            stands = until

    def _draw_start(self, stands: int, resume: int) -> int:
        kind = self._chance.random()
        if kind < 0.5 and resume:
            return resume
        if kind < 0.6:
            return 0
        if kind < 0.75:
            return stands + 1 + self._chance.randrange(30)
        return max(1, stands - self._chance.randrange(300))

    def _stream(self, watcher: int, request: WatchRequest, stands: int, until: int) -> int:
        """Opened when the store stands at revision `stands`, given up at `until`; where to
        resume."""
        number, self._streams = self._streams, self._streams + 1
        node = f"n{self._chance.randrange(3) + 1}"
        time = stands * MS + MS * 9 // 10
        self._time = time
        self._write(Opened(time, number, watcher, node, request))
        self._write(Created(time, number, stands))
        compacted = max((to for at, to in self._writers.compacted if at <= stands), default=0)
        start = request.start_revision or stands + 1
        last = until == self._last
        closed = Closed(
            until * MS + MS, number, "end" if last else "reconnects", self._last if last else 0
        )
        if start < compacted:
            self._write(Cancelled(time, number, compacted))
            self._write(closed)
            return compacted
        self._deliver(number, request, start, stands, until)
        self._write(closed)
        return max(start, until + 1)

    def _deliver(
        self, number: int, request: WatchRequest, start: int, stands: int, until: int
    ) -> None:
        selection = self._truth.selection(request)
        revisions = selection.revisions
        place = bisect_left(revisions, start)
        end = bisect_left(revisions, until + 1)
        while place < end:
            to = place + 1
            most = 1 + self._chance.randrange(3) if revisions[place] > stands else 20
            while to < end and (to - place < most or revisions[to] == revisions[to - 1]):
                if revisions[place] <= stands < revisions[to]:
                    break
                to += 1
            revision = revisions[to - 1]
            time = max(stands, revision) * MS + MS * 95 // 100
            self._batch(number, request, selection.changes[place:to], selection.places[place:to],
                        time, max(stands, revision))
            place = to
            if request.progress_notify and self._chance.random() < 0.2:
                until_next = revisions[place] - 1 if place < len(revisions) else self._last
                revision = min(until_next, max(stands, revision))
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
            cut = self._chance.randrange(1, len(changes) + 1)
        made = tuple(changes)
        if cut < len(changes):
            self._write(Events(time, number, revision, made[:cut], previous[:cut], fragment=True))
            made, previous = made[cut:], previous[cut:]
        self._write(Events(time, number, revision, made, previous))


def _draw_request(chance: Random) -> WatchRequest:
    kind = chance.random()
    key, end = "w", "x"
    if kind < 0.2:
        key, end = f"w{chance.randrange(KEYS):03d}", ""
    elif kind < 0.5:
        first = chance.randrange(KEYS - 2)
        key, end = f"w{first:03d}", f"w{first + 2 + chance.randrange(4):03d}"
    elif kind < 0.7:
        key, end = "\0", "\0"
    filtered = chance.random()
    return WatchRequest(
        key, end,
        prev_kv=chance.random() < 0.5,
        no_put=filtered < 0.15,
        no_delete=0.15 <= filtered < 0.3,
        progress_notify=chance.random() < 0.5,
        fragment=chance.random() < 0.3,
    )


def generate_watched(writes: int = 1000, watchers: int = 10, seed: int = 0) -> WatchedRun:
    """A valid run of `writes` revisions that `watchers` follow. On average an event reaches
    about half of the watchers."""
    writers = _Writers(stream(seed, "synthetic", "writers"))
    writers.run(writes)
    following = _Watchers(stream(seed, "synthetic", "watchers"), writers)
    for watcher in range(watchers):
        following.run(watcher)
    lines = sorted(following.lines, key=lambda line: line.time)
    states = tuple(
        MemberState(
            name, revision=writers.revision, hash=7, hash_revision=writers.revision,
            leader_id=1, changes=tuple(writers.changes),
        )
        for name in ("n1", "n2", "n3")
    )
    return WatchedRun(Synthetic(tuple(writers.events), states), tuple(lines))


# --- spoilt ---------------------------------------------------------------------


Lines = list[Line]
Spoil = Callable[[WatchedRun, Lines, Random], bool]
"""Spoils the lines in place; False where there was nothing to spoil in this way."""


def spoil_watched(run: WatchedRun, kind: str, seed: int = 0) -> WatchedRun | None:
    """`run` with one thing wrong, of a kind in `WATCH_SPOILS`; None if it offers no occasion."""
    lines = list(run.lines)
    if not WATCH_SPOILS[kind][1](run, lines, stream(seed, "spoil", kind)):
        return None
    return replace(run, lines=tuple(lines))


def _pick(
    lines: Lines, chance: Random, fits: Callable[[int, Line], bool]
) -> int | None:
    places = [place for place, line in enumerate(lines) if fits(place, line)]
    return chance.choice(places) if places else None


def _followed(lines: Lines) -> dict[int, int]:
    """The place of the last answer with events of each stream."""
    return {line.stream: place for place, line in enumerate(lines) if isinstance(line, Events)}


def _requests(lines: Lines) -> dict[int, WatchRequest]:
    return {line.stream: line.request for line in lines if isinstance(line, Opened)}


def _lose(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    last = _followed(lines)
    place = _pick(lines, chance, lambda p, one: isinstance(one, Events) and p < last[one.stream])
    if place is None:
        return False
    batch = lines[place]
    assert isinstance(batch, Events)
    gone = chance.randrange(len(batch.changes))
    changes = batch.changes[:gone] + batch.changes[gone + 1 :]
    previous = batch.previous[:gone] + batch.previous[gone + 1 :]
    if changes:
        lines[place] = msgspec.structs.replace(batch, changes=changes, previous=previous)
    else:
        del lines[place]
    return True


def _lose_at_end(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    settled = {one.stream for one in lines if isinstance(one, Closed) and one.settled}
    last = _followed(lines)
    place = _pick(
        lines, chance,
        lambda p, one: isinstance(one, Events) and one.stream in settled and p == last[one.stream],
    )
    if place is None:
        return False
    told = lines[place].time
    if any(isinstance(one, Progress) and one.stream == lines[place].stream and one.time > told
           for one in lines):
        return False
    del lines[place]
    return True


def _duplicate(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    place = _pick(lines, chance, lambda _, one: isinstance(one, Events))
    if place is None:
        return False
    lines.insert(place + 1, lines[place])
    return True


def _reorder(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    place = _pick(lines, chance, lambda _, one: isinstance(one, Events) and len(one.changes) > 1)
    if place is None:
        return False
    batch = lines[place]
    assert isinstance(batch, Events)
    lines[place] = msgspec.structs.replace(
        batch, changes=batch.changes[::-1], previous=batch.previous[::-1]
    )
    return True


def _split(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    def within(one: Events) -> int:
        pairs = zip(one.changes, one.changes[1:], strict=False)
        return next(
            (n for n, (left, right) in enumerate(pairs, 1) if left.revision == right.revision), 0
        )

    place = _pick(lines, chance, lambda _, one: isinstance(one, Events) and within(one) > 0)
    if place is None:
        return False
    batch = lines[place]
    assert isinstance(batch, Events)
    cut = within(batch)
    lines[place : place + 1] = [
        msgspec.structs.replace(
            batch, changes=batch.changes[:cut], previous=batch.previous[:cut], fragment=False
        ),
        msgspec.structs.replace(batch, changes=batch.changes[cut:], previous=batch.previous[cut:]),
    ]
    return True


def _promise_too_much(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    place = _pick(lines, chance, lambda _, one: isinstance(one, Events))
    if place is None:
        return False
    batch = lines[place]
    assert isinstance(batch, Events)
    lines.insert(place, Progress(batch.time, batch.stream, batch.changes[0].revision))
    return True


def _spoil_previous(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    place = _pick(lines, chance, lambda _, one: isinstance(one, Events) and any(one.previous))
    if place is None:
        return False
    batch = lines[place]
    assert isinstance(batch, Events)
    previous = tuple(
        held and msgspec.structs.replace(held, value=f"{held.value}?") for held in batch.previous
    )
    lines[place] = msgspec.structs.replace(batch, previous=previous)
    return True


def _spoil_value(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    place = _pick(
        lines, chance, lambda _, one: isinstance(one, Events) and one.changes[0].kind == "put"
    )
    if place is None:
        return False
    batch = lines[place]
    assert isinstance(batch, Events)
    first = msgspec.structs.replace(batch.changes[0], value="?")
    lines[place] = msgspec.structs.replace(batch, changes=(first, *batch.changes[1:]))
    return True


def _insert(lines: Lines, place: int, change: Change) -> None:
    batch = lines[place]
    assert isinstance(batch, Events)
    lines.insert(place, Events(batch.time, batch.stream, batch.revision, (change,)))


def _leak(
    run: WatchedRun, lines: Lines, chance: Random,
    wanted: Callable[[WatchRequest, Change], bool],
) -> bool:
    """Send a change that is not asked for, of a revision that has its turn."""
    requests = _requests(lines)
    changes = run.made.members[0].changes
    places = [place for place, line in enumerate(lines) if isinstance(line, Events)]
    chance.shuffle(places)
    for place in places:
        batch = lines[place]
        assert isinstance(batch, Events)
        request = requests[batch.stream]
        for change in changes:
            if change.revision == batch.changes[0].revision and wanted(request, change):
                _insert(lines, place, change)
                return True
    return False


def _leak_filtered(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    return _leak(
        run, lines, chance,
        lambda request, change: in_interval(change.key, request.key, request.range_end)
        and not passes(request, change),
    )


def _leak_foreign(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    return _leak(
        run, lines, chance,
        lambda request, change: not in_interval(change.key, request.key, request.range_end),
    )


def _before_start(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    requests = _requests(lines)
    first: dict[int, int] = {}
    for place, line in enumerate(lines):
        if isinstance(line, Events) and requests[line.stream].start_revision > 2:
            first.setdefault(line.stream, place)
    places = list(first.values())
    chance.shuffle(places)
    for place in places:
        request = requests[lines[place].stream]
        for change in reversed(run.made.members[0].changes):
            if (
                change.revision < request.start_revision
                and in_interval(change.key, request.key, request.range_end)
                and passes(request, change)
            ):
                _insert(lines, place, change)
                return True
    return False


def _miss_compaction(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    requests = _requests(lines)
    stands = {line.stream: line.revision for line in lines if isinstance(line, Created)}
    answered = _compaction_answers(run)

    def kept(one: Line) -> list[Change]:
        request = requests[one.stream]
        return [
            change for change in run.made.members[0].changes
            if isinstance(one, Cancelled)
            and one.compact_revision <= change.revision <= stands[one.stream]
            and in_interval(change.key, request.key, request.range_end) and passes(request, change)
        ]

    place = _pick(
        lines, chance,
        lambda _, one: isinstance(one, Cancelled)
        and stands[one.stream] > answered.get(one.compact_revision, 1 << 60) and bool(kept(one)),
    )
    if place is None:
        return False
    cancelled = lines[place]
    changes = tuple(kept(cancelled))
    lines[place] = Events(cancelled.time, cancelled.stream, changes[-1].revision, changes)
    return True


def _compaction_answers(run: WatchedRun) -> dict[int, int]:
    """The revision at which each compaction was answered."""
    return {
        op.request.revision: op.result.header.revision
        for op in History.of(run.made.events).operations
        if isinstance(op.request, Compact) and op.result is not None
    }


def _cancel_for_nothing(run: WatchedRun, lines: Lines, chance: Random) -> bool:
    compacted = _compaction_answers(run)
    if not compacted:
        return False
    revision = min(compacted)
    place = _pick(
        lines, chance, lambda _, one: isinstance(one, Events) and one.changes[0].revision > revision
        + 2 * COMPACT_BACK,
    )
    if place is None:
        return False
    lines.insert(place + 1, Cancelled(lines[place].time, lines[place].stream, revision))
    return True


WATCH_SPOILS: Mapping[str, tuple[str, Spoil, str]] = {
    "watch-lost": ("an event is left out", _lose, "lost event"),
    "watch-lost-at-end": ("the last events never come", _lose_at_end, "lost event"),
    "watch-duplicated": ("an answer is sent twice", _duplicate, "duplicated event"),
    "watch-reordered": ("the events of an answer are turned round", _reorder, "reordered event"),
    "watch-split": ("a revision is sent in two answers", _split, "split transaction"),
    "watch-false-progress": (
        "progress is told of events not sent yet", _promise_too_much, "false progress"),
    "watch-wrong-prev-kv": ("a prev_kv is not what was there", _spoil_previous, "wrong prev_kv"),
    "watch-wrong-value": ("an event has another value", _spoil_value, "wrong event"),
    "watch-filter-leak": ("an event that the filters forbid", _leak_filtered, "filter leak"),
    "watch-foreign": ("an event of a key not watched", _leak_foreign, "foreign event"),
    "watch-before-start": (
        "an event from before the start revision", _before_start, "event before start"),
    "watch-missed-compaction": (
        "a watch from a compacted revision goes on", _miss_compaction, "missed compaction"),
    "watch-false-cancel": (
        "a watch that needs nothing compacted is cancelled", _cancel_for_nothing, "false cancel"),
}
"""What each does, how, and the kind of anomaly that it must show as."""
