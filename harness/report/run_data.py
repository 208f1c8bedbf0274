"""Read a run's folder into values, as far as its files can be read.

Reports matter most for runs that went wrong. So a file that is missing, torn or of another shape
becomes a sentence in `Run.problems` and never raises an exception.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.report.spans import Span, last_time_ns, pair
from splitbrain.harness.report.value_text import clean
from splitbrain.harness.report.write_path.steps import WriteSteps, read_steps
from splitbrain.harness.store.run_folder import (
    HISTORY,
    OLD_PLAN,
    REPRO,
    RESULTS,
    RUN,
    SCHEDULE,
    STATE,
)
from splitbrain.harness.store.run_folder import NEMESIS as NEMESIS_FILE
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.event import NEMESIS, Event
from splitbrain.histories.history import FaultWindow, History, read_events

LOG_LINES_MAX = 50
LOG_TAIL_BYTES = 256 * 1024
LOG_LINE_CHARACTERS_MAX = 2_000
JSON_SHOWN_BYTES_MAX = 64 * 1024

T = TypeVar("T")


class PhaseFacts(msgspec.Struct, frozen=True):
    """A phase of the run. Times are ns since its start."""

    name: str
    begin: int
    end: int


class MemberFacts(msgspec.Struct, frozen=True):
    """A member. `log` and `trace` are paths relative to the run's folder."""

    name: str
    client_url: str = ""
    log: str = ""
    trace: str | None = None


class RunFacts(msgspec.Struct, frozen=True):
    """`run.json`, a `splitbrain.harness.store.records.RunRecord` of this or another release.

    The options are not decoded, because a store outlives the options of one release.
    """

    test: str = ""
    seed: int | None = None
    options: dict[str, Any] = {}
    started: str = ""
    members: tuple[MemberFacts, ...] = ()
    versions: dict[str, str] = {}
    phases: tuple[PhaseFacts, ...] = ()
    ended: str = ""
    error: str = ""
    quiet: bool | None = None

    @property
    def system(self) -> str:
        return str(self.options.get("system", ""))

    @property
    def mutant(self) -> str:
        """The planted bug of the members; "" if there is none."""
        return str(self.options.get("mutant", ""))

    @property
    def workload(self) -> str:
        return str(self.options.get("workload", ""))

    @property
    def nemesis(self) -> str:
        named = self.options.get("nemesis", ())
        words = [str(word) for word in named] if isinstance(named, list | tuple) else [str(named)]
        return ", ".join(words) or "none"


class ResultFacts(msgspec.Struct, frozen=True):
    """The part of `results.json`, a `splitbrain.harness.store.records.Results`, in a report."""

    valid: bool | None = None
    verdicts: tuple[Verdict, ...] = ()
    operations: dict[str, dict[str, int]] = {}
    reproduce: str = ""
    load_s: float = 0.0
    rate: float = 0.0
    judged_s: float = 0.0
    error: str = ""

    @property
    def anomalies(self) -> tuple[tuple[str, Anomaly], ...]:
        """All anomalies, each with the name of its checker."""
        return tuple((v.checker, anomaly) for v in self.verdicts for anomaly in v.anomalies)


class StateFacts(msgspec.Struct, frozen=True):
    """A `splitbrain.histories.member_state.MemberState` without its change log."""

    revision: int = 0
    compact_revision: int = 0
    hash: int = 0
    hash_revision: int = 0
    member_id: int = 0
    leader_id: int = 0
    raft_term: int = 0
    raft_index: int = 0
    raft_applied_index: int = 0
    version: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member's state at the end of the run, and the end of its log."""

    name: str
    state: StateFacts | None
    log_tail: tuple[str, ...]
    log_file: str
    """The path of the log, relative to the run's folder; "" if there is none."""


@dataclass(frozen=True, slots=True)
class Run:
    """All data of a report. Times are ns since the start of the run."""

    folder: Path
    facts: RunFacts
    results: ResultFacts | None
    spans: tuple[Span, ...]
    faults: tuple[FaultWindow, ...]
    members: tuple[Member, ...]
    steps: WriteSteps | None
    documents: tuple[tuple[str, str], ...]
    """The name and the indented text of each JSON file."""
    problems: tuple[str, ...]
    end_ns: int
    """The last time in the history, the faults, and the load and final-read phases."""

    @property
    def valid(self) -> bool | None:
        return self.results.valid if self.results else None


def read_run(folder: Path) -> Run:
    """Read the run in `folder`. Raises FileNotFoundError if the folder does not exist."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder; expected the folder of a run, "
            "such as store/<test>/<time>-<seed>"
        )
    problems: list[str] = []
    facts = _decode(folder / RUN, RunFacts, problems) or RunFacts()
    results = _decode(folder / RESULTS, ResultFacts, problems)
    events = _events(folder / HISTORY, problems)
    spans, pairing_problems = pair(events)
    problems.extend(pairing_problems)
    faults = _faults(folder, events)
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


def _decode(path: Path, kind: type[T], problems: list[str]) -> T | None:
    """The JSON in `path` as a `kind`; None, with a sentence in `problems`, if it is unreadable."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        problems.append(f"{path.name} is missing")
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as problem:
        problems.append(f"{path.name} cannot be read: {problem}")
    return None


def _events(path: Path, problems: list[str]) -> list[Event]:
    """The events before the first damaged line, with a sentence in `problems` if there is one."""
    events: list[Event] = []
    try:
        for event in read_events(path):
            events.append(event)  # one by one, to keep the events before a damaged line
    except FileNotFoundError:
        problems.append(f"{path.name} is missing")
    except OSError as problem:
        problems.append(f"{path.name} cannot be read: {problem}")
    except (HistoryError, UnicodeDecodeError) as problem:
        problems.append(f"{path.name} is read up to a line that is not an event: {problem}")
    return events


def _faults(folder: Path, events: list[Event]) -> tuple[FaultWindow, ...]:
    """The faults in the history or, if it contains none, in nemesis.jsonl.

    The history may be torn before its faults.
    """
    of_nemesis = [event for event in events if event.process == NEMESIS]
    path = folder / NEMESIS_FILE
    if not of_nemesis and path.is_file():
        of_nemesis = [event for event in _events(path, []) if event.process == NEMESIS]
    return History.of(of_nemesis).faults


def _end(facts: RunFacts, spans: tuple[Span, ...], faults: tuple[FaultWindow, ...]) -> int:
    fault_times = [time for fault in faults for time in (fault.begin, fault.end or 0)]
    phase_times = [phase.end for phase in facts.phases if phase.name in ("load", "final reads")]
    return max([last_time_ns(spans), *fault_times, *phase_times], default=0)


# --- members ------------------------------------------------------------------


def _member_names(folder: Path, facts: RunFacts) -> tuple[str, ...]:
    """The members in run.json or, if it names none, the folders that look like members."""
    named = [member.name for member in facts.members]
    if named:
        return tuple(dict.fromkeys(named))
    found = sorted(place.name for place in folder.iterdir() if _is_member_folder(place))
    return tuple(found)


def _is_member_folder(place: Path) -> bool:
    return place.is_dir() and any(
        (place / name).exists() for name in ("log", "trace.jsonl", STATE, "data")
    )


def _within(folder: Path, relative: str) -> Path | None:
    """`relative` as a path inside `folder`; None if it is empty or leads out of the folder."""
    path = (folder / relative).resolve()
    return path if relative and path.is_relative_to(folder.resolve()) else None


def _trace_paths(folder: Path, facts: RunFacts, names: tuple[str, ...]) -> dict[str, Path]:
    named = {member.name: member.trace for member in facts.members if member.trace}
    paths = {}
    for name in names:
        path = _within(folder, named.get(name) or f"{name}/trace.jsonl")
        if path is not None and path.is_file():
            paths[name] = path
    return paths


def _member(folder: Path, name: str, facts: RunFacts, problems: list[str]) -> Member:
    place = _within(folder, name)
    state = None
    if place is not None and (place / STATE).is_file():
        state = _decode(place / STATE, StateFacts, problems)
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
    for relative in (named.get(name, ""), f"{name}/log", f"{name}/log.txt", f"{name}/{name}.log"):
        path = _within(folder, relative)
        if path is not None and path.is_file():
            return path
    return None


def tail_of(path: Path, lines: int = LOG_LINES_MAX) -> tuple[str, ...]:
    """The last `lines` lines in the last `LOG_TAIL_BYTES` bytes of a text file.

    Each line is cut to `LOG_LINE_CHARACTERS_MAX` characters.
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
    """A JSON file with indentation; only the beginning if it is large."""
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
