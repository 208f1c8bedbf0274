"""Renders the page on which a user moves through the time of a simulated run.

To record the states of the members, the run is simulated once more from its schedule. The second
run equals the first, because a simulation is deterministic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.judge import judge
from splitbrain.harness.report.html import TEMPLATES, embedded, render_script, to_json
from splitbrain.harness.report.operation_spans import Span, pair
from splitbrain.harness.report.playback.sequence_diagram import sequence_diagram
from splitbrain.harness.schedule.schedule import SIMULATED, Schedule
from splitbrain.harness.simulation.simulate import simulate
from splitbrain.harness.simulation.state_recording import Recording, StateRecorder
from splitbrain.harness.store.temporary_folder import temporary_run_folder
from splitbrain.histories.history import FaultWindow, History, read_events

MARKS_PER_CHECKER_MAX = 5
MARK_CHARACTERS_MAX = 400
VIOLATION_AT = re.compile(r"^([\d.]+) s: ")


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that the page marks, such as the time of an anomaly."""

    us: int
    text: str


def playback(schedule: Schedule) -> str:
    """Simulate `schedule` while its states are recorded, and return the HTML page.

    Raises BadArguments if the schedule is not one of a simulation.
    """
    if schedule.system != SIMULATED:
        raise BadArguments(
            f"this is a run of {schedule.system}; expected a simulated run, because only a "
            "simulated run can be repeated exactly and played back"
        )
    recorder = StateRecorder()
    with temporary_run_folder() as folder:
        facts = simulate(schedule, folder, recorder=recorder)
        verdicts = judge(folder).results.verdicts
        history = History.read(folder.history)
        spans, _ = pair(read_events(folder.history))
        marks = [
            *_anomalies(verdicts, _times(history)),
            *(_violation(text) for text in facts.violations[:MARKS_PER_CHECKER_MAX]),
        ]
        faults = [_fault(one) for one in history.faults]
    return render(recorder.recording(), marks, faults, _title(schedule), spans)


def render(
    recording: Recording, marks: list[Mark], faults: list[tuple[Mark, Mark | None]], title: str,
    spans: Sequence[Span] = (),
) -> str:
    """Return the HTML page of `recording`.

    Each of `faults` is a pair of begin and end. The end is None if the fault was never healed.
    `spans` are the operations of the clients.
    """
    times = [one.us for one in recording.moments] + [one.us for one in marks]
    times += [one.arrived_us or one.sent_us for one in recording.messages]
    data: dict[str, Any] = {
        "members": recording.members, "moments": recording.moments,
        "messages": recording.messages, "end": max(times, default=0),
        "marks": [(one.us, one.text) for one in sorted(marks, key=lambda mark: mark.us)],
        "faults": [
            (begin.us, end.us if end else None, begin.text) for begin, end in faults
        ],
    }
    script = (TEMPLATES / "playback.js").read_text()
    return render_script(
        "playback.html.j2", script, title=title, complete=recording.complete,
        data=embedded(to_json(data)), marks=data["marks"],
        sequence=sequence_diagram(recording, spans, data["marks"], data["faults"]),
    )


def _title(schedule: Schedule) -> str:
    options = schedule.options
    bug = f", planted bug {options.mutant}" if options.mutant else ""
    return f"{options.test_name()}, seed {schedule.seed}{bug}"


def _times(history: History) -> Mapping[int, int]:
    """Return the time in ns at which each operation ended, by the indexes of its two events."""
    return {
        event: one.ended if one.ended is not None else one.call
        for one in history.operations for event in (one.invoked, one.returned)
        if event is not None
    }


def _anomalies(verdicts: tuple[Verdict, ...], times: Mapping[int, int]) -> Iterator[Mark]:
    """Yield a mark for each anomaly that names operations.

    The time of the mark is the end of the last of these operations.
    """
    for verdict in verdicts:
        for anomaly in verdict.anomalies[:MARKS_PER_CHECKER_MAX]:
            shown = [times[event] for event in anomaly.events if event in times]
            if shown:
                yield Mark(max(shown) // 1000, _short(
                    f"{verdict.checker}: {anomaly.kind}: {anomaly.because}"
                ))


def _violation(text: str) -> Mark:
    found = VIOLATION_AT.match(text)
    return Mark(round(float(found[1]) * 1e6) if found else 0, _short(f"invariants: {text}"))


def _fault(one: FaultWindow) -> tuple[Mark, Mark | None]:
    begin = Mark(one.begin // 1000, f"{one.f} {', '.join(one.members)}".strip())
    return begin, None if one.end is None else Mark(one.end // 1000, begin.text)


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= MARK_CHARACTERS_MAX else plain[:MARK_CHARACTERS_MAX - 1] + "…"


def write_playback(schedule: Schedule, out: Path) -> None:
    """Simulate `schedule`, and write the page to `out`.

    Raises BadArguments if the schedule is not one of a simulation, or if `out` cannot be written.
    """
    page = playback(schedule)
    try:
        out.write_text(page)
    except OSError as problem:
        raise BadArguments(f"{out} cannot be written: {problem.strerror}") from problem
