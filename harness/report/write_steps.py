"""The traces of a run's members, put together write by write.

A table with a row for each client's write and a place for each step on each member,
so that 100,000 writes take tens of megabytes and not gigabytes. A step that a member
traced twice (a replay after a restart) counts once, the first time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.trace import STEPS, TraceEvent, read_trace

WRITES_MAX = 200_000
TRACE_EVENTS_MAX = 4_000_000
"""Of each member; a longer trace is read up to here, and the report says so."""

NEVER = -1
_STEP_PLACE = {step: place for place, step in enumerate(STEPS)}

NUMBER_IN_PATH = {
    "client_request": "1",
    "follower_forward": "2",
    "leader_receive": "3",
    "leader_wal": "4.1",
    "replicate": "4.2",
    "follower_wal": "5",
    "quorum_ack": "6",
    "leader_commit": "7",
    "follower_commit": "8",
    "apply_notify": "9",
    "apply_mvcc": "10",
    "backend_flush": "10",
    "respond": "11",
}
"""As the architecture numbers them."""


@dataclass(slots=True)
class WriteSteps:
    """Row r is request `requests[r]`. Times are ns of the members' common clock."""

    members: tuple[str, ...]
    requests: list[int] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    revisions: list[int] = field(default_factory=list)
    ns: array[int] = field(default_factory=lambda: array("q"))
    row_of: dict[int, int] = field(default_factory=dict)

    def at(self, row: int, step: str, member: str) -> int | None:
        """When `member` had done `step`, or None."""
        place = _STEP_PLACE[step] * len(self.members) + self.members.index(member)
        ns = self.ns[row * self._width + place]
        return None if ns == NEVER else ns

    def of_row(self, row: int) -> list[tuple[int, str, str]]:
        """(ns, step, member) of each step done, in the order of time, then of the path."""
        start = row * self._width
        count = len(self.members)
        done = [
            (ns, place)
            for place, ns in enumerate(self.ns[start : start + self._width])
            if ns != NEVER
        ]
        return [(ns, STEPS[at // count], self.members[at % count]) for ns, at in sorted(done)]

    def called(self, row: int) -> tuple[int, str] | None:
        """When and by whom the client's request was accepted."""
        return self._first(row, "client_request")

    def answered(self, row: int) -> tuple[int, str] | None:
        return self._first(row, "respond")

    def latency_ns(self, row: int) -> int | None:
        called, answered = self.called(row), self.answered(row)
        return answered[0] - called[0] if called and answered else None

    def _first(self, row: int, step: str) -> tuple[int, str] | None:
        count = len(self.members)
        start = row * self._width + _STEP_PLACE[step] * count
        done = [
            (ns, member)
            for ns, member in zip(self.ns[start : start + count], self.members, strict=True)
            if ns != NEVER
        ]
        return min(done) if done else None

    @property
    def _width(self) -> int:
        return len(STEPS) * len(self.members)

    def row_for(self, request: int) -> int | None:
        """The row of `request`, made if need be; None past `WRITES_MAX`."""
        row = self.row_of.get(request)
        if row is None and len(self.requests) < WRITES_MAX:
            row = self.row_of[request] = len(self.requests)
            self.requests.append(request)
            self.indexes.append(0)
            self.revisions.append(0)
            self.ns.extend([NEVER] * self._width)
        return row

    def note(self, row: int, place: int, event: TraceEvent) -> None:
        """Enter `event` of the member at `place`."""
        at = row * self._width + _STEP_PLACE[event.step] * len(self.members) + place
        if self.ns[at] == NEVER or event.ns < self.ns[at]:
            self.ns[at] = event.ns
        if event.index:
            self.indexes[row] = event.index
        if event.revision:
            self.revisions[row] = event.revision


def read_steps(paths: Mapping[str, Path]) -> tuple[WriteSteps | None, tuple[str, ...]]:
    """The steps in the traces at `paths` (by member's name), and what was wrong, in words.

    None where there is no trace: the system writes none, or was told not to.
    """
    if not paths:
        return None, ()
    steps = WriteSteps(tuple(paths))
    problems: list[str] = []
    unnamed: list[tuple[int, TraceEvent]] = []
    skipped = 0
    for place, (member, path) in enumerate(paths.items()):
        for event in _tolerant(member, path, problems):
            if event.step not in _STEP_PLACE:
                continue
            if not event.request:
                if event.index:
                    unnamed.append((place, event))
                continue
            row = steps.row_for(event.request)
            if row is None:
                skipped += 1
            else:
                steps.note(row, place, event)
    _by_index(steps, unnamed)
    if skipped:
        problems.append(f"traces: only the first {WRITES_MAX:,} writes are counted")
    return steps, tuple(problems)


def _by_index(steps: WriteSteps, unnamed: Sequence[tuple[int, TraceEvent]]) -> None:
    """Enter the events that name an entry and no request, where the entry is a request's."""
    row_of_index = {index: row for row, index in enumerate(steps.indexes) if index}
    for place, event in unnamed:
        row = row_of_index.get(event.index)
        if row is not None:
            steps.note(row, place, event)


def _tolerant(member: str, path: Path, problems: list[str]) -> Iterator[TraceEvent]:
    count = 0
    try:
        for event in islice(read_trace(path), TRACE_EVENTS_MAX):
            count += 1
            yield event
    except (OSError, HistoryError, UnicodeDecodeError) as problem:
        problems.append(f"{member}'s trace is read up to a line that is no event: {problem}")
    if count == TRACE_EVENTS_MAX:
        problems.append(f"{member}'s trace: only the first {TRACE_EVENTS_MAX:,} events are read")


@dataclass(frozen=True, slots=True)
class StepTimes:
    """ms from `client_request` until the first, and until the last, member had done `step`."""

    step: str
    writes: int
    first_p50: float
    first_p99: float
    last_p50: float
    last_p99: float


def step_times(steps: WriteSteps) -> tuple[StepTimes, ...]:
    """Percentiles over all writes, of each step that any member traced."""
    count = len(steps.members)
    firsts: list[array[int]] = [array("q") for _ in STEPS]
    lasts: list[array[int]] = [array("q") for _ in STEPS]
    for row in range(len(steps.requests)):
        called = steps.called(row)
        if called is None:
            continue
        start = row * len(STEPS) * count
        for place in range(len(STEPS)):
            at = start + place * count
            done = [ns for ns in steps.ns[at : at + count] if ns != NEVER]
            if done:
                firsts[place].append(min(done) - called[0])
                lasts[place].append(max(done) - called[0])
    return tuple(
        _times(step, firsts[place], lasts[place])
        for place, step in enumerate(STEPS)
        if firsts[place]
    )


def _times(step: str, first: array[int], last: array[int]) -> StepTimes:
    early, late = sorted(first), sorted(last)
    return StepTimes(
        step,
        len(early),
        *(percentile(early, share) / 1e6 for share in (0.5, 0.99)),
        *(percentile(late, share) / 1e6 for share in (0.5, 0.99)),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of `ordered` (not empty) do not exceed."""
    place = max(0, -int(-share * len(ordered) // 1) - 1)
    return ordered[min(place, len(ordered) - 1)]
