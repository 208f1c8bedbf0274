"""Joins the traces of a run's members into one table: when each member completed each step.

The table has a row for each write of a client, and a column for each pair of a step and a member.
It is stored as one array of integers, so that 100,000 writes take tens of megabytes and not
gigabytes. A member can trace a step twice, for example when it replays its log after a restart. The
table then contains the earlier time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from splitbrain.harness.report.percentile import percentile
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.trace import STEPS, TraceEvent, read_trace

WRITES_MAX = 200_000
TRACE_EVENTS_MAX = 4_000_000
"""The maximal number of events read from the trace of one member. If a trace is longer, the report
says so."""

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
"""The number of each step, as in the table of the write path in ARCHITECTURE.md."""


@dataclass(slots=True)
class WriteSteps:
    """A table with the times at which each member completed each step of each write.

    Row r belongs to the request with the id `requests[r]`, the Raft index `indexes[r]` and the
    revision `revisions[r]`; an index or revision of 0 is unknown. `carriers[r]` is how the request
    came ("grpc", "json" or ""). Times are in ns of the clock that all members share.
    """

    members: tuple[str, ...]
    requests: list[int] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    revisions: list[int] = field(default_factory=list)
    carriers: list[str] = field(default_factory=list)
    ns: array[int] = field(default_factory=lambda: array("q"))
    row_of: dict[int, int] = field(default_factory=dict)

    def at(self, row: int, step: str, member: str) -> int | None:
        """Return the time in ns at which `member` completed `step`; None if it never did."""
        place = _STEP_PLACE[step] * len(self.members) + self.members.index(member)
        ns = self.ns[row * self._width + place]
        return None if ns == NEVER else ns

    def of_row(self, row: int) -> list[tuple[int, str, str]]:
        """Return (ns, step, member) of each completed step of the write in `row`.

        The steps are ordered by time. Steps with the same time are in the order of the write path.
        """
        start = row * self._width
        count = len(self.members)
        done = [
            (ns, place)
            for place, ns in enumerate(self.ns[start : start + self._width])
            if ns != NEVER
        ]
        return [(ns, STEPS[at // count], self.members[at % count]) for ns, at in sorted(done)]

    def called(self, row: int) -> tuple[int, str] | None:
        """Return when a member accepted the client's request: the time in ns, and the member.

        Returns None if no trace contains this step.
        """
        return self._first(row, "client_request")

    def answered(self, row: int) -> tuple[int, str] | None:
        """Return when a member answered the client's request: the time in ns, and the member.

        Returns None if no trace contains this step.
        """
        return self._first(row, "respond")

    def latency_ns(self, row: int) -> int | None:
        """Return the time in ns from `called` to `answered`; None if one of them is unknown."""
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
        """Return the row of the request with the id `request`, and add a row if it has none.

        Returns None if the table has `WRITES_MAX` rows already.
        """
        row = self.row_of.get(request)
        if row is None and len(self.requests) < WRITES_MAX:
            row = self.row_of[request] = len(self.requests)
            self.requests.append(request)
            self.indexes.append(0)
            self.revisions.append(0)
            self.carriers.append("")
            self.ns.extend([NEVER] * self._width)
        return row

    def record(self, row: int, place: int, event: TraceEvent) -> None:
        """Record in `row` an event of a member.

        `place` is the index of the member in `members`.
        """
        at = row * self._width + _STEP_PLACE[event.step] * len(self.members) + place
        if self.ns[at] == NEVER or event.ns < self.ns[at]:
            self.ns[at] = event.ns
        if event.index:
            self.indexes[row] = event.index
        if event.revision:
            self.revisions[row] = event.revision
        if event.carrier:
            self.carriers[row] = event.carrier


def read_steps(paths: Mapping[str, Path]) -> tuple[WriteSteps | None, tuple[str, ...]]:
    """Read the members' traces. Returns the table of steps, and sentences about problems.

    `paths` maps the name of each member to its trace. It is empty if the system writes no traces or
    if tracing was off; then the table is None.
    """
    if not paths:
        return None, ()
    steps = WriteSteps(tuple(paths))
    problems: list[str] = []
    unnamed: list[tuple[int, TraceEvent]] = []
    skipped = 0
    for place, (member, path) in enumerate(paths.items()):
        for event in _events_until_damage(member, path, problems):
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
                steps.record(row, place, event)
    _by_index(steps, unnamed)
    if skipped:
        problems.append(f"traces: only the first {WRITES_MAX:,} writes are read")
    return steps, tuple(problems)


def _by_index(steps: WriteSteps, unnamed: Sequence[tuple[int, TraceEvent]]) -> None:
    """Record the events that contain a Raft index but no request id.

    `unnamed` are pairs of a member's position and an event. An event is dropped if no row has its
    index.
    """
    row_of_index = {index: row for row, index in enumerate(steps.indexes) if index}
    for place, event in unnamed:
        row = row_of_index.get(event.index)
        if row is not None:
            steps.record(row, place, event)


def _events_until_damage(member: str, path: Path, problems: list[str]) -> Iterator[TraceEvent]:
    count = 0
    try:
        for event in islice(read_trace(path), TRACE_EVENTS_MAX):
            count += 1
            yield event
    except (OSError, HistoryError, UnicodeDecodeError) as problem:
        problems.append(f"{member}'s trace is read up to a line that is not an event: {problem}")
    if count == TRACE_EVENTS_MAX:
        problems.append(f"{member}'s trace: only the first {TRACE_EVENTS_MAX:,} events are read")


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Percentiles of the time from `client_request` until members completed `step`, in ms.

    `first_p50` and `first_p99` are for the time until the first member completed the step.
    `last_p50` and `last_p99` are for the time until the last member completed it.
    """

    step: str
    writes: int
    first_p50: float
    first_p99: float
    last_p50: float
    last_p99: float


def step_times(steps: WriteSteps) -> tuple[StepTimes, ...]:
    """Return the percentiles over all writes, for each step that a member traced."""
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
    firsts, lasts = sorted(first), sorted(last)
    return StepTimes(
        step,
        len(firsts),
        *(percentile(firsts, share) / 1e6 for share in (0.5, 0.99)),
        *(percentile(lasts, share) / 1e6 for share in (0.5, 0.99)),
    )
