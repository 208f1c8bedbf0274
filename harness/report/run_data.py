"""Reads a run's folder into values, as far as its files can be read.

Reports matter most for runs that went wrong. Therefore a file that is missing, damaged or of
another structure does not raise an exception. Instead, `Run.problems` contains a sentence about
each such file: the record, the results, the history, the traces and the members' states. An
incomplete last line of the history is not a problem, because a killed run leaves one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from splitbrain.harness.report.operation_spans import Span, last_time_ns, pair
from splitbrain.harness.report.value_text import clean
from splitbrain.harness.report.write_path.steps import WriteSteps, read_steps
from splitbrain.harness.store.lenient_records import (
    ResultFacts,
    RunFacts,
    StateFacts,
    read_result_facts,
    read_run_facts,
    read_state_facts,
)
from splitbrain.harness.store.run_folder import OLD_PLAN, REPRO, RESULTS, RUN, SCHEDULE, RunFolder
from splitbrain.harness.systems.processes.member_files import LOG, TRACE, MemberFiles
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.event import NEMESIS, Event
from splitbrain.histories.history import FaultWindow, History, read_events

LOG_LINES_MAX = 50
LOG_TAIL_BYTES = 256 * 1024
LOG_LINE_CHARACTERS_MAX = 2_000
JSON_SHOWN_BYTES_MAX = 64 * 1024

T = TypeVar("T")

@dataclass(frozen=True, slots=True)
class Member:
    """A member's state at the end of the run, and the last lines of its log."""

    name: str
    state: StateFacts | None
    log_tail: tuple[str, ...]
    log_file: str
    """The path of the log, relative to the run's folder; "" if there is no log."""


@dataclass(frozen=True, slots=True)
class Run:
    """All data of a report. Times are in ns since the start of the run."""

    folder: Path
    facts: RunFacts
    results: ResultFacts | None
    spans: tuple[Span, ...]
    faults: tuple[FaultWindow, ...]
    members: tuple[Member, ...]
    steps: WriteSteps | None
    documents: tuple[tuple[str, str], ...]
    """The name and the indented text of each JSON file in the folder."""
    problems: tuple[str, ...]
    end_ns: int
    """The latest time of an operation, a fault, a crash, the end of the load, or the final
    reads."""

    @property
    def valid(self) -> bool | None:
        return self.results.valid if self.results else None


def read_run(folder: Path) -> Run:
    """Read the run in `folder`, as far as its files can be read.

    Raises FileNotFoundError if the folder does not exist.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder; expected the folder of a run, "
            "such as store/<test>/<time>-<seed>"
        )
    problems: list[str] = []
    files = RunFolder(folder)
    facts = _kept(read_run_facts(files), problems) or RunFacts()
    results = _kept(read_result_facts(files), problems)
    events = _events(files.history, problems)
    spans, pairing_problems = pair(events)
    problems.extend(pairing_problems)
    faults = _faults(files, events)
    names = _member_names(folder, facts)
    steps, step_problems = read_steps(_trace_paths(folder, facts, names))
    problems.extend(step_problems)
    return Run(
        folder=folder,
        facts=facts,
        results=results,
        spans=spans,
        faults=faults,
        members=tuple(_member(folder, name, facts, problems) for name in names),
        steps=steps,
        documents=_documents(folder),
        problems=tuple(problems),
        end_ns=_end(facts, spans, faults),
    )


def _kept(read: tuple[T | None, str], problems: list[str]) -> T | None:
    """Return the value that was read, which is None if it could not be read.

    `read` is a pair: the value, and a sentence about a problem. The sentence is added to `problems`
    unless it is "".
    """
    value, problem = read
    if problem:
        problems.append(problem)
    return value


def _events(path: Path, problems: list[str]) -> list[Event]:
    """Return the events of the history `path` up to the first damaged line.

    If the file is missing or damaged, a sentence about that is added to `problems`.
    """
    events: list[Event] = []
    try:
        for event in read_events(path):
            events.append(event)  # one by one, so that the events before a damaged line are kept
    except FileNotFoundError:
        problems.append(f"{path.name} is missing")
    except OSError as problem:
        problems.append(f"{path.name} cannot be read: {problem}")
    except (HistoryError, UnicodeDecodeError) as problem:
        problems.append(f"{path.name} is read up to a line that is not an event: {problem}")
    return events


def _faults(files: RunFolder, events: list[Event]) -> tuple[FaultWindow, ...]:
    """Return the faults of the run, from the history or from nemesis.jsonl.

    The second file is read only if the history contains no fault. The history of a killed run may
    end before the events of the faults.
    """
    of_nemesis = [event for event in events if event.process == NEMESIS]
    path = files.nemesis
    if not of_nemesis and path.is_file():
        of_nemesis = [event for event in _events(path, []) if event.process == NEMESIS]
    return History.of(of_nemesis).faults


def _end(facts: RunFacts, spans: tuple[Span, ...], faults: tuple[FaultWindow, ...]) -> int:
    fault_times = [time for fault in faults for time in (fault.begin, fault.end or 0)]
    phase_times = [phase.end for phase in facts.phases if phase.name in ("load", "final reads")]
    crash_times = [crash.at for crash in facts.crashes]
    return max([last_time_ns(spans), *fault_times, *phase_times, *crash_times], default=0)


# --- members ------------------------------------------------------------------


def _member_names(folder: Path, facts: RunFacts) -> tuple[str, ...]:
    """Return the names of the members in run.json.

    If run.json names none, the names are those of the subfolders that look like members.
    """
    named = [member.name for member in facts.members]
    if named:
        return tuple(dict.fromkeys(named))
    found = sorted(place.name for place in folder.iterdir() if _is_member_folder(place))
    return tuple(found)


def _is_member_folder(place: Path) -> bool:
    files = MemberFiles(place)
    return place.is_dir() and any(
        path.exists() for path in (files.log, files.trace, files.state, files.data)
    )


def _within(folder: Path, relative: str) -> Path | None:
    """Return the path of `relative` inside `folder`.

    Returns None if `relative` is empty or leads out of the folder.
    """
    path = (folder / relative).resolve()
    return path if relative and path.is_relative_to(folder.resolve()) else None


def _trace_paths(folder: Path, facts: RunFacts, names: tuple[str, ...]) -> dict[str, Path]:
    named = {member.name: member.trace for member in facts.members if member.trace}
    paths = {}
    for name in names:
        path = _within(folder, named.get(name) or f"{name}/{TRACE}")
        if path is not None and path.is_file():
            paths[name] = path
    return paths


def _member(folder: Path, name: str, facts: RunFacts, problems: list[str]) -> Member:
    place = _within(folder, name)
    state = None
    if place is not None and MemberFiles(place).state.is_file():
        state = _kept(read_state_facts(MemberFiles(place)), problems)
    log = _log_path(folder, name, facts)
    tail: tuple[str, ...] = ()
    if log is not None:
        try:
            tail = tail_of(log)
        except OSError as problem:
            problems.append(f"the log of {name} cannot be read: {problem}")
    relative = log.relative_to(folder.resolve()).as_posix() if log else ""
    return Member(name, state, tail, relative)


def _log_path(folder: Path, name: str, facts: RunFacts) -> Path | None:
    named = {member.name: member.log for member in facts.members}
    for relative in (named.get(name, ""), f"{name}/{LOG}", f"{name}/log.txt", f"{name}/{name}.log"):
        path = _within(folder, relative)
        if path is not None and path.is_file():
            return path
    return None


def tail_of(path: Path, lines: int = LOG_LINES_MAX) -> tuple[str, ...]:
    """Return the last lines of the text file `path`, at most `lines` of them.

    Only the last `LOG_TAIL_BYTES` bytes are read. Each line is cut to `LOG_LINE_CHARACTERS_MAX`
    characters.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LOG_TAIL_BYTES))
        text = file.read(LOG_TAIL_BYTES).decode("utf-8", "replace")
    whole = text.splitlines()
    if size > LOG_TAIL_BYTES:
        whole = whole[1:]
    return tuple(clean(line[:LOG_LINE_CHARACTERS_MAX]) for line in whole[-lines:])


# --- documents ----------------------------------------------------------------


def _documents(folder: Path) -> tuple[tuple[str, str], ...]:
    names = (RUN, SCHEDULE, OLD_PLAN, RESULTS, REPRO)
    return tuple((name, _document(folder / name)) for name in names if (folder / name).is_file())


def _document(path: Path) -> str:
    """Return the indented text of a JSON file. Only the beginning of a large file is returned."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            data = file.read(JSON_SHOWN_BYTES_MAX)
    except OSError as problem:
        return f"cannot be read: {problem}"
    if size <= JSON_SHOWN_BYTES_MAX:
        try:
            return clean(msgspec.json.format(data, indent=2).decode("utf-8", "replace"))
        except msgspec.MsgspecError:
            return clean(data.decode("utf-8", "replace"))
    shown = clean(data.decode("utf-8", "replace"))
    return f"{shown}\n… (the first {JSON_SHOWN_BYTES_MAX:,} of {size:,} bytes)"
