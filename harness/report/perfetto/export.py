"""Writes a run as a Perfetto trace.

The tracks are, from top to bottom: the phases, the anomalies, the faults, the rate of operations,
the operations of each client, and the steps of the write path on each member. An arrow follows each
write from the client's operation over the steps on all members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.report.operation_spans import Span, lanes
from splitbrain.harness.report.perfetto.tracks import TrackWriter
from splitbrain.harness.report.run_data import Run, read_run
from splitbrain.harness.report.write_path.steps import NUMBER_IN_PATH, WriteSteps
from splitbrain.harness.report.write_path.waterfall import bars_of
from splitbrain.harness.report.write_path.waterfall_options import writes_by_revision

SECOND = 1_000_000_000
Bar = tuple[int, int, str, int]
"""A step of a write: begin and end in ns since the start of the run, name, and row in
`WriteSteps`."""


def export_perfetto(folder: Path, out: Path) -> int:
    """Write the run in `folder` to the file `out`, and return the number of operations.

    Raises BadArguments if `folder` is not the folder of a run, if the run contains no operation, or
    if `out` cannot be written.
    """
    if not folder.is_dir():
        raise BadArguments(f"{folder}: expected the folder of a run")
    run = read_run(folder)
    if not run.spans:
        raise BadArguments(f"{folder} contains no operation: {'; '.join(run.problems)}")
    try:
        with out.open("wb") as file:
            write_run(run, TrackWriter(file))
    except OSError as problem:
        raise BadArguments(f"{out} cannot be written: {problem.strerror}") from problem
    return len(run.spans)


def write_run(run: Run, trace: TrackWriter) -> None:
    """Write all tracks of `run` to `trace`."""
    _phases(run, trace)
    _anomalies(run, trace)
    _faults(run, trace)
    _rates(run.spans, trace)
    _operations(run, trace)
    origin = run.facts.clock_origin_ns
    if run.steps is not None and origin is not None:
        _write_path(run.steps, origin, trace)


def _phases(run: Run, trace: TrackWriter) -> None:
    track = trace.track("phases")
    for phase in run.facts.phases:
        trace.slice(track, phase.name, phase.begin, phase.end)


def _anomalies(run: Run, trace: TrackWriter) -> None:
    """Write an event without duration for each anomaly.

    Its time is that of the last event that the anomaly names, because only then the history shows
    the anomaly.
    """
    if run.results is None or not run.results.anomalies:
        return
    times = {one.invoked: one.call for one in run.spans}
    times |= {one.returned: one.ended for one in run.spans if one.returned and one.ended}
    track = trace.track("anomalies")
    found = [
        (max((times.get(event, 0) for event in anomaly.events), default=0), checker, anomaly)
        for checker, anomaly in run.results.anomalies
    ]
    for at, checker, anomaly in sorted(found, key=lambda one: one[0]):
        trace.instant(track, f"{checker}: {anomaly.because}", at)


def _faults(run: Run, trace: TrackWriter) -> None:
    if not run.faults:
        return
    parent = trace.track("faults")
    ends = [(one.begin, one.end or run.end_ns) for one in run.faults]
    tracks: dict[int, int] = {}
    for fault, row in zip(run.faults, rows_of(ends), strict=True):
        if row not in tracks:
            tracks[row] = trace.track(f"faults {row + 1}", parent)
        facts = {"members": ", ".join(fault.members), "detail": bytes(fault.detail).decode()}
        if fault.effect:
            facts["effect"] = fault.effect
        name = " ".join([fault.f, *fault.members])
        trace.slice(tracks[row], name, fault.begin, max(fault.end or run.end_ns, fault.begin),
                    facts=facts)


def _rates(spans: Iterable[Span], trace: TrackWriter) -> None:
    """Write three counters: the operations that ended in each second, by outcome."""
    counts = Counter((one.outcome, one.ended // SECOND) for one in spans if one.ended is not None)
    parent = trace.track("operations per second")
    seconds = range(max((second for _, second in counts), default=0) + 2)
    for outcome in ("ok", "fail", "info"):
        track = trace.track(outcome, parent, counter=True)
        for second in seconds:
            trace.count(track, second * SECOND, counts[outcome, second])


def _operations(run: Run, trace: TrackWriter) -> None:
    row_of = lanes(run.spans)
    parent = trace.track("clients")
    of_row: dict[int, list[Span]] = {}
    for one in run.spans:
        of_row.setdefault(row_of[one.process], []).append(one)
    flows = _flows(run)
    for _, spans in sorted(of_row.items()):
        processes = list(dict.fromkeys(one.process for one in spans))
        more = f" +{len(processes) - 1}" if len(processes) > 1 else ""
        track = trace.track(f"process {processes[0]}{more}", parent)
        for one in sorted(spans, key=lambda one: one.call):
            facts: dict[str, str | int] = {
                "request": one.request_text(), "result": one.result_text(),
                "process": one.process, "event": one.invoked,
            }
            if one.node:
                facts["member"] = one.node
            end = run.end_ns if one.ended is None else one.ended
            trace.slice(track, one.f, one.call, max(end, one.call), category=one.outcome,
                        facts=facts, flows=flows.get(one.invoked, ()))


def _flows(run: Run) -> dict[int, tuple[int, ...]]:
    """Return the ids of each write's arrows, by the index of the event of the invocation.

    An arrow leads from the client's operation to the steps on all members.
    """
    if run.steps is None:
        return {}
    request_of = dict(zip(run.steps.revisions, run.steps.requests, strict=True))
    return {
        one.invoked: (request_of[revision],)
        for revision, one in writes_by_revision(run.spans).items() if request_of.get(revision)
    }


def _write_path(steps: WriteSteps, origin: int, trace: TrackWriter) -> None:
    bars: dict[str, list[Bar]] = {name: [] for name in steps.members}
    for row in range(len(steps.requests)):
        for member, bar in _bars(steps, row, origin):
            bars[member].append(bar)
    for member, found in bars.items():
        parent = trace.track(f"{member}: write path")
        found.sort()
        tracks: dict[int, int] = {}
        for (begin, end, step, row), place in zip(
            found, rows_of([(one[0], one[1]) for one in found]), strict=True
        ):
            if place not in tracks:
                tracks[place] = trace.track(f"{member} {place + 1}", parent)
            facts = {
                "request": steps.requests[row], "index": steps.indexes[row],
                "revision": steps.revisions[row],
            }
            trace.slice(tracks[place], f"{NUMBER_IN_PATH[step]} {step}", begin, end, facts=facts,
                        flows=(steps.requests[row],))


def _bars(steps: WriteSteps, row: int, origin: int) -> Iterator[tuple[str, Bar]]:
    done = steps.of_row(row)
    if not done:
        return
    called = steps.called(row)
    zero = (called[0] if called else done[0][0]) - origin
    for bar in bars_of(steps, row):
        begin, end = zero + round(bar.begin_ms * 1e6), zero + round(bar.end_ms * 1e6)
        yield bar.member, (begin, end, bar.step, row)


def rows_of(times: Sequence[tuple[int, int]]) -> list[int]:
    """Assign a row to each interval of `times`, so that the intervals of a row do not overlap.

    `times` are pairs of begin and end, in the order of the begins. Rows are counted from 0.
    """
    ends: list[int] = []
    rows = []
    for begin, end in times:
        row = next((place for place, one in enumerate(ends) if one <= begin), len(ends))
        if row == len(ends):
            ends.append(end)
        ends[row] = end
        rows.append(row)
    return rows
