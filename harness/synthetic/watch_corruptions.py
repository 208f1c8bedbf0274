"""Corrupts valid runs with watchers, in ways that a checker must find.

A corruption is applied once. It imitates a bug of a store's watches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

import msgspec

from splitbrain.checkers.model.sequential_store import in_interval
from splitbrain.checkers.watch.expected_events import passes
from splitbrain.harness.synthetic.watch import COMPACT_BACK, WatchedRun
from splitbrain.histories.history import History
from splitbrain.histories.kv import Compact
from splitbrain.histories.member_state import Change
from splitbrain.histories.random_stream import stream
from splitbrain.histories.watch import (
    Cancelled,
    Closed,
    Created,
    Events,
    Line,
    Opened,
    Progress,
    Stray,
    WatchRequest,
)

Lines = list[Line]
Corrupt = Callable[[WatchedRun, Lines, Random], bool]
"""A function that corrupts the lines of a run in place. It returns False if there is no suitable
place."""


def corrupt_watched(run: WatchedRun, kind: str, seed: int = 0) -> WatchedRun | None:
    """Return a copy of `run` with the corruption `kind`.

    `kind` is a name in `WATCH_CORRUPTIONS`. Returns None if the run has no suitable place.
    """
    lines = list(run.lines)
    # The label "spoil" is an old name. It must stay, because another label would change every
    # random value.
    if not WATCH_CORRUPTIONS[kind][1](run, lines, stream(seed, "spoil", kind)):
        return None
    return replace(run, lines=tuple(lines))


def _pick(
    lines: Lines, random: Random, fits: Callable[[int, Line], bool]
) -> int | None:
    """Return the index of a random line for which `fits` is True; None if there is none."""
    places = [place for place, line in enumerate(lines) if fits(place, line)]
    return random.choice(places) if places else None


def _last_events(lines: Lines) -> dict[int, int]:
    """Return for each stream the index of its last answer that contains events."""
    return {line.stream: place for place, line in enumerate(lines) if isinstance(line, Events)}


def _requests(lines: Lines) -> dict[int, WatchRequest]:
    return {line.stream: line.request for line in lines if isinstance(line, Opened)}


def _lose(run: WatchedRun, lines: Lines, random: Random) -> bool:
    last = _last_events(lines)
    place = _pick(lines, random, lambda p, one: isinstance(one, Events) and p < last[one.stream])
    if place is None:
        return False
    batch = lines[place]
    assert isinstance(batch, Events)
    left_out = random.randrange(len(batch.changes))
    changes = batch.changes[:left_out] + batch.changes[left_out + 1 :]
    previous = batch.previous[:left_out] + batch.previous[left_out + 1 :]
    if changes:
        lines[place] = msgspec.structs.replace(batch, changes=changes, previous=previous)
    else:
        del lines[place]
    return True


def _lose_at_end(run: WatchedRun, lines: Lines, random: Random) -> bool:
    settled = {one.stream for one in lines if isinstance(one, Closed) and one.settled}
    last = _last_events(lines)
    place = _pick(
        lines, random,
        lambda p, one: isinstance(one, Events) and one.stream in settled and p == last[one.stream],
    )
    if place is None:
        return False
    deleted_ns = lines[place].time
    stream_number = lines[place].stream
    if any(isinstance(one, Progress) and one.stream == stream_number and one.time > deleted_ns
           for one in lines):
        return False
    del lines[place]
    return True


def _duplicate(run: WatchedRun, lines: Lines, random: Random) -> bool:
    place = _pick(lines, random, lambda _, one: isinstance(one, Events))
    if place is None:
        return False
    lines.insert(place + 1, lines[place])
    return True


def _reorder(run: WatchedRun, lines: Lines, random: Random) -> bool:
    place = _pick(lines, random, lambda _, one: isinstance(one, Events) and len(one.changes) > 1)
    if place is None:
        return False
    batch = lines[place]
    assert isinstance(batch, Events)
    lines[place] = msgspec.structs.replace(
        batch, changes=batch.changes[::-1], previous=batch.previous[::-1]
    )
    return True


def _split(run: WatchedRun, lines: Lines, random: Random) -> bool:
    def within(one: Events) -> int:
        pairs = zip(one.changes, one.changes[1:], strict=False)
        return next(
            (n for n, (left, right) in enumerate(pairs, 1) if left.revision == right.revision), 0
        )

    place = _pick(lines, random, lambda _, one: isinstance(one, Events) and within(one) > 0)
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


def _false_progress(run: WatchedRun, lines: Lines, random: Random) -> bool:
    place = _pick(lines, random, lambda _, one: isinstance(one, Events))
    if place is None:
        return False
    batch = lines[place]
    assert isinstance(batch, Events)
    lines.insert(place, Progress(batch.time, batch.stream, batch.changes[0].revision))
    return True


def _early_progress(run: WatchedRun, lines: Lines, random: Random) -> bool:
    requests = _requests(lines)
    place = _pick(
        lines, random,
        lambda _, one: isinstance(one, Created)
        and one.revision < requests[one.stream].start_revision - 1,
    )
    if place is None:
        return False
    created = lines[place]
    assert isinstance(created, Created)
    lines.insert(place + 1, Progress(created.time, created.stream, created.revision))
    return True


def _stray(run: WatchedRun, lines: Lines, random: Random) -> bool:
    place = _pick(lines, random, lambda _, one: isinstance(one, Created))
    if place is None:
        return False
    created = lines[place]
    assert isinstance(created, Created)
    lines.insert(place + 1, Stray(created.time, created.stream, 99, created.revision))
    return True


def _wrong_previous(run: WatchedRun, lines: Lines, random: Random) -> bool:
    place = _pick(lines, random, lambda _, one: isinstance(one, Events) and any(one.previous))
    if place is None:
        return False
    batch = lines[place]
    assert isinstance(batch, Events)
    previous = tuple(
        kv and msgspec.structs.replace(kv, value=f"{kv.value}?") for kv in batch.previous
    )
    lines[place] = msgspec.structs.replace(batch, previous=previous)
    return True


def _wrong_value(run: WatchedRun, lines: Lines, random: Random) -> bool:
    place = _pick(
        lines, random, lambda _, one: isinstance(one, Events) and one.changes[0].kind == "put"
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
    run: WatchedRun, lines: Lines, random: Random,
    fits: Callable[[WatchRequest, Change], bool],
) -> bool:
    """Insert an answer with a change that its stream must not contain.

    `fits(request, change)` returns True if a stream with `request` must not contain `change`. The
    change has the same revision as the answer that follows it in the stream. Returns False if the
    run has no such change.
    """
    requests = _requests(lines)
    changes = run.history.members[0].changes
    places = [place for place, line in enumerate(lines) if isinstance(line, Events)]
    random.shuffle(places)
    for place in places:
        batch = lines[place]
        assert isinstance(batch, Events)
        request = requests[batch.stream]
        for change in changes:
            if change.revision == batch.changes[0].revision and fits(request, change):
                _insert(lines, place, change)
                return True
    return False


def _leak_filtered(run: WatchedRun, lines: Lines, random: Random) -> bool:
    return _leak(
        run, lines, random,
        lambda request, change: in_interval(change.key, request.key, request.range_end)
        and not passes(request, change),
    )


def _leak_foreign(run: WatchedRun, lines: Lines, random: Random) -> bool:
    return _leak(
        run, lines, random,
        lambda request, change: not in_interval(change.key, request.key, request.range_end),
    )


def _before_start(run: WatchedRun, lines: Lines, random: Random) -> bool:
    requests = _requests(lines)
    first: dict[int, int] = {}
    for place, line in enumerate(lines):
        if isinstance(line, Events) and requests[line.stream].start_revision > 2:
            first.setdefault(line.stream, place)
    places = list(first.values())
    random.shuffle(places)
    for place in places:
        request = requests[lines[place].stream]
        for change in reversed(run.history.members[0].changes):
            if (
                change.revision < request.start_revision
                and in_interval(change.key, request.key, request.range_end)
                and passes(request, change)
            ):
                _insert(lines, place, change)
                return True
    return False


def _missed_compaction(run: WatchedRun, lines: Lines, random: Random) -> bool:
    requests = _requests(lines)
    created_at = {line.stream: line.revision for line in lines if isinstance(line, Created)}
    answered_at = _compaction_answers(run)

    def kept(one: Line) -> list[Change]:
        request = requests[one.stream]
        return [
            change for change in run.history.members[0].changes
            if isinstance(one, Cancelled)
            and one.compact_revision <= change.revision <= created_at[one.stream]
            and in_interval(change.key, request.key, request.range_end) and passes(request, change)
        ]

    place = _pick(
        lines, random,
        lambda _, one: isinstance(one, Cancelled)
        and created_at[one.stream] > answered_at.get(one.compact_revision, 1 << 60)
        and bool(kept(one)),
    )
    if place is None:
        return False
    cancelled = lines[place]
    changes = tuple(kept(cancelled))
    lines[place] = Events(cancelled.time, cancelled.stream, changes[-1].revision, changes)
    return True


def _compaction_answers(run: WatchedRun) -> dict[int, int]:
    """Return the store revision in the answer to each compaction, by compacted revision."""
    return {
        op.request.revision: op.result.header.revision
        for op in History.of(run.history.events).operations
        if isinstance(op.request, Compact) and op.result is not None
    }


def _false_cancel(run: WatchedRun, lines: Lines, random: Random) -> bool:
    compacted = _compaction_answers(run)
    if not compacted:
        return False
    revision = min(compacted)
    place = _pick(
        lines, random,
        lambda _, one: isinstance(one, Events)
        and one.changes[0].revision > revision + 2 * COMPACT_BACK,
    )
    if place is None:
        return False
    lines.insert(place + 1, Cancelled(lines[place].time, lines[place].stream, revision))
    return True


WATCH_CORRUPTIONS: Mapping[str, tuple[str, Corrupt, str]] = {
    "watch-lost": ("an event is left out", _lose, "lost event"),
    "watch-lost-at-end": ("the last events are not sent", _lose_at_end, "lost event"),
    "watch-duplicated": ("an answer is sent twice", _duplicate, "duplicated event"),
    "watch-reordered": (
        "the events of an answer are in reverse order", _reorder, "reordered event",
    ),
    "watch-split": (
        "the events of a revision are sent in two answers", _split, "split transaction",
    ),
    "watch-false-progress": (
        "progress is reported before its events are sent", _false_progress, "false progress",
    ),
    "watch-early-progress": (
        "a watch that starts at a future revision is notified of progress before it",
        _early_progress, "early progress",
    ),
    "watch-stray": ("an answer has the id of no watch", _stray, "stray answer"),
    "watch-wrong-prev-kv": (
        "a prev_kv is not the previous value", _wrong_previous, "wrong prev_kv",
    ),
    "watch-wrong-value": ("an event has a wrong value", _wrong_value, "wrong event"),
    "watch-filter-leak": (
        "an event is sent that the filters exclude", _leak_filtered, "filter leak",
    ),
    "watch-foreign": (
        "an event of a key outside the interval is sent", _leak_foreign, "foreign event",
    ),
    "watch-before-start": (
        "an event before the start revision is sent", _before_start, "event before start",
    ),
    "watch-missed-compaction": (
        "a watch from a compacted revision is not cancelled", _missed_compaction,
        "missed compaction",
    ),
    "watch-false-cancel": (
        "a watch is cancelled although its events are not compacted", _false_cancel, "false cancel",
    ),
}
"""For each name of a corruption: its description, its function, and the kind of anomaly that a
checker must report."""
