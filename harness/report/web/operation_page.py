"""Renders the page of one operation: its request, its answer, and the steps of its write.

The steps come from the members' traces. The answer to a write and the steps of the write contain
the same revision, so the page can join them. For a write without an answer, the page shows
candidates. A candidate is a write that the called member accepted while the client waited. Its
revision is not in the answer to another operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.report.html import environment
from splitbrain.harness.report.operation_spans import Span
from splitbrain.harness.report.run_data import Run, read_run
from splitbrain.harness.report.value_text import answered_write
from splitbrain.harness.report.write_path.steps import NUMBER_IN_PATH, WriteSteps
from splitbrain.harness.report.write_path.waterfall import StepBar, bars_of
from splitbrain.harness.report.write_path.waterfall_options import CARRIERS, writes_by_revision
from splitbrain.histories.trace import STEPS

LISTED_MAX = 200
CANDIDATES_MAX = 5
BAR_PERCENT_MIN = 0.8
"""The minimal width of a bar in percent, so that the bar is visible."""
READS = (b'{"op":"range"',)


@dataclass(frozen=True, slots=True)
class Cell:
    """A step on one member: when it was complete, and the position of its bar.

    Times are in ms. The bar is in percent of the time from the first step to the last.
    """

    begin_ms: float
    end_ms: float
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class StepRow:
    number: str
    step: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class WriteSection:
    """The steps of one write on all members. Times are in ms since its request was accepted."""

    request: int
    index: int
    revision: int
    carrier: str
    members: tuple[str, ...]
    rows: tuple[StepRow, ...]
    whole_ms: float


def render_operation(store: Path, folder: Path, query: Mapping[str, str]) -> str:
    """Return the page of the operation that `event` in `query` names.

    `event` is the index of the event of the invocation. Without `event`, the page lists the first
    operations whose requests contain the text in `find`. Raises BadArguments if there is no such
    operation.
    """
    run = read_run(folder)
    name = folder.relative_to(store).as_posix()
    common = {"here": "", "run": name, "find": query.get("find", "")}
    if not query.get("event"):
        found = [one for one in run.spans if common["find"] in one.request_text()]
        return environment().get_template("operations.html.j2").render(
            title=f"{name}: operations", spans=found[:LISTED_MAX], total=len(found),
            named=named_by_anomalies(run), **common,
        )
    span, before, after = _chosen(run, query["event"])
    writes, why = followed(run, span)
    return environment().get_template("operation.html.j2").render(
        title=f"{name}: event {span.invoked}", span=span, before=before, after=after, writes=writes,
        why=why, faults=_faults(run, span), anomalies=_anomalies(run, span), **common,
    )


def _anomalies(run: Run, span: Span) -> list[tuple[str, Anomaly]]:
    """Return the anomalies that name the operation `span`, each with the name of its checker."""
    found = run.results.anomalies if run.results else ()
    return [
        (checker, anomaly) for checker, anomaly in found
        if span.invoked in anomaly.events or span.returned in anomaly.events
    ]


def named_by_anomalies(run: Run) -> tuple[Span, ...]:
    """Return the operations that anomalies name, at most `LISTED_MAX`."""
    anomalies = run.results.anomalies if run.results else ()
    events = {event for _, anomaly in anomalies for event in anomaly.events}
    found = [one for one in run.spans if one.invoked in events or one.returned in events]
    return tuple(found[:LISTED_MAX])


def _chosen(run: Run, event: str) -> tuple[Span, Span | None, Span | None]:
    """Return the operation that `event` names, the one before it and the one after it.

    The operation before or after is None if there is none. Raises BadArguments if no operation has
    the event.
    """
    number = int(event) if event.isdecimal() and len(event) <= 18 else -1
    for place, one in enumerate(run.spans):
        if number in (one.invoked, one.returned):
            before = run.spans[place - 1] if place else None
            after = run.spans[place + 1] if place + 1 < len(run.spans) else None
            return one, before, after
    raise BadArguments(f"event={event[:40]}: no operation of this run has this event")


def followed(run: Run, span: Span) -> tuple[tuple[WriteSection, ...], str]:
    """Return the steps of the write that `span` made, and a sentence for the page.

    If several writes may belong to the operation, all are returned, and the sentence says so. If
    there is no write, the sentence gives the reason. Otherwise, the sentence is "".
    """
    steps = run.steps
    if steps is None:
        return (), "The members of this run wrote no traces, so the steps are unknown."
    if span.request.startswith(READS):
        return (), "A read has no steps on the write path."
    by_revision = writes_by_revision(run.spans)
    if span.outcome == "ok":
        rows = [
            row for row, revision in enumerate(steps.revisions)
            if revision and by_revision.get(revision) is span
        ]
        if rows:
            return tuple(_write(steps, row) for row in rows[:1]), ""
        if not answered_write(span.request, span.answer):
            return (), "The operation changed nothing, so it has no steps."
        return (), "No trace contains the revision in the answer."
    origin = run.facts.clock_origin_ns
    if origin is None:
        return (), "The run's record lacks its start on the traces' clock, so steps have no times."
    rows = [*_candidates(steps, span, origin, set(by_revision), run.end_ns)]
    if not rows:
        return (), f"No trace shows that {span.node} accepted this request."
    sure = "" if len(rows) == 1 else (
        f"No answer names the write. {len(rows)} writes may be this operation, because {span.node} "
        "accepted them while the client waited."
    )
    return tuple(_write(steps, row) for row in rows[:CANDIDATES_MAX]), sure


def _candidates(
    steps: WriteSteps, span: Span, origin: int, answered: set[int], end_ns: int
) -> Iterator[int]:
    ended = end_ns if span.ended is None else span.ended
    for row, revision in enumerate(steps.revisions):
        called = steps.called(row)
        if (
            called is not None and called[1] == span.node
            and span.call <= called[0] - origin <= ended and revision not in answered
        ):
            yield row


def _write(steps: WriteSteps, row: int) -> WriteSection:
    bars = bars_of(steps, row)
    first = min((bar.begin_ms for bar in bars), default=0.0)
    whole = max((bar.end_ms for bar in bars), default=0.0) - first
    at = {(bar.step, bar.member): bar for bar in bars}
    done = {bar.step for bar in bars}
    return WriteSection(
        request=steps.requests[row], index=steps.indexes[row], revision=steps.revisions[row],
        carrier=CARRIERS.get(steps.carriers[row], ""), members=steps.members, whole_ms=whole,
        rows=tuple(
            StepRow(
                NUMBER_IN_PATH[step], step,
                tuple(_cell(at.get((step, member)), first, whole) for member in steps.members),
            )
            for step in STEPS if step in done
        ),
    )


def _cell(bar: StepBar | None, first: float, whole: float) -> Cell | None:
    if bar is None:
        return None
    scale = 100 / whole if whole else 0.0
    return Cell(
        bar.begin_ms, bar.end_ms,
        round(min((bar.begin_ms - first) * scale, 100 - BAR_PERCENT_MIN), 2),
        round(max((bar.end_ms - bar.begin_ms) * scale, BAR_PERCENT_MIN), 2),
    )


def _faults(run: Run, span: Span) -> list[str]:
    """Return the faults that were active while the operation was in progress."""
    ended = run.end_ns if span.ended is None else span.ended
    return [
        f"{one.f} {', '.join(one.members)}".strip() for one in run.faults
        if one.overlaps(span.call, ended)
    ]
