"""Judges a run's folder, or a bare history: every checker's verdict, merged.

The same for a run that has just ended and for `splitbrain check` years later.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from splitbrain.checkers.budget_limits import read_limits
from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.verdict import Verdict, merge
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.counts import by_fault, by_function
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.records import Repro, Results, RunRecord
from splitbrain.harness.store.repro import run_line
from splitbrain.harness.store.run_folder import write_json
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.history import History
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.trace import TraceEvent, read_trace
from splitbrain.histories.watch import FILE_NAME as WATCH_FILE
from splitbrain.histories.watch import read_streams


@dataclass(frozen=True, slots=True)
class RunResult:
    """What became of a run. `report` is None where none was written."""

    folder: Path
    results: Results
    ended: str
    error: str = ""
    report: Path | None = None
    digest: str = ""
    """Of a simulated run: the same for the same seed, see
    `splitbrain.harness.simulation.digest`."""

    @property
    def valid(self) -> bool | None:
        return self.results.valid

    @property
    def exit_code(self) -> int:
        """As Jepsen's: 0 valid, 1 invalid, 2 unknown, 255 the harness failed.

        An anomaly that was proven stays one, also in a run that broke off.
        """
        if self.valid is False:
            return 1
        if self.error:
            return 255
        return 0 if self.valid else 2


def judge(
    folder: Path,
    checkers: Mapping[str, Checker] | None = None,
    watch: Watch | None = None,
    record: RunRecord | None = None,
) -> RunResult:
    """Judge the run in `folder` and write its `results.json`.

    `checkers` default to those of the run's workload; with others given nothing is
    written, for the run's verdict is that of all of its own. Of a simulated run, what was
    found while it went on is kept. `record` stands in for `run.json`. Raises BadArguments if
    `folder` is no run's.
    """
    record = record or read_record(folder)
    began = time.perf_counter()
    error = record.error
    evidence = Evidence(History.of(()))
    try:
        if watch:
            watch.show("reading")
        evidence = read_evidence(folder, record)
    except (HistoryError, OSError) as problem:
        error = error or f"the history cannot be read: {problem}"
    except KeyboardInterrupt:
        if watch is None:
            raise
        watch.interrupted = True
    wanted = checkers or checkers_of(record.options)
    verdicts = judge_evidence(evidence, wanted, watch)
    kept, digest = _found_meanwhile(folder) if checkers is None else ((), "")
    verdicts = (*verdicts, *(verdict for verdict in kept if verdict.checker not in wanted))
    seconds = time.perf_counter() - began
    results = _results(record, evidence, verdicts, seconds, error)
    results = msgspec.structs.replace(
        results, digest=digest, reproduce=_command_of(folder) or results.reproduce
    )
    if checkers is None and not (watch and watch.interrupted):
        write_json(folder / "results.json", results)
    return RunResult(folder, results, record.ended, error, digest=digest)


def _command_of(folder: Path) -> str:
    """What runs it again, as its repro.json says; "" where there is none."""
    try:
        return msgspec.json.decode((folder / "repro.json").read_bytes(), type=Repro).command
    except (OSError, msgspec.MsgspecError):
        return ""


def _found_meanwhile(folder: Path) -> tuple[tuple[Verdict, ...], str]:
    """The digest, and the verdicts of no checker that could be asked again, of the results
    that are there: what a simulation found while it went on."""
    from splitbrain.checkers.catalogue import CHECKERS

    try:
        earlier = msgspec.json.decode((folder / "results.json").read_bytes(), type=Results)
    except (OSError, msgspec.MsgspecError):
        return (), ""
    kept = tuple(verdict for verdict in earlier.verdicts if verdict.checker not in CHECKERS)
    return (kept, earlier.digest) if earlier.digest else ((), "")


class Watch:
    """Somebody looks on while a history is judged, and may interrupt: what was not judged
    by then is unknown."""

    interrupted = False

    def show(self, doing: str) -> None:
        """Told of what is done from now on: "reading", or a checker's name."""


INTERRUPTED = "interrupted before it was decided"


def judge_evidence(
    evidence: Evidence, checkers: Mapping[str, Checker], watch: Watch | None = None
) -> tuple[Verdict, ...]:
    """Every checker's verdict. One that raises has not passed: it is undecided; so are,
    with a `watch`, those that an interrupt left."""
    verdicts = []
    for name, checker in checkers.items():
        if watch is None:
            verdicts.append(_ask(name, checker, evidence))
            continue
        if not watch.interrupted:
            watch.show(name)
            try:
                verdicts.append(_ask(name, checker, evidence))
                continue
            except KeyboardInterrupt:
                watch.interrupted = True
        verdicts.append(Verdict(name, None, why=INTERRUPTED))
    return tuple(verdicts)


def _ask(name: str, checker: Checker, evidence: Evidence) -> Verdict:
    began = time.perf_counter()
    try:
        verdict = checker(evidence)
    except HistoryError as problem:
        verdict = Verdict(name, None, why=f"not to be judged: {problem}")
    except MemoryError:
        verdict = Verdict(name, None, why="there was no memory left")
    except Exception as problem:
        why = f"the checker failed: {type(problem).__name__}: {problem}"
        verdict = Verdict(name, None, why=why)
    return msgspec.structs.replace(
        verdict, checker=name, seconds=round(time.perf_counter() - began, 3)
    )


def merged(verdicts: Sequence[Verdict], error: str = "") -> bool | None:
    """The run's verdict: of no checker at all, or of a run that broke off, at best unknown."""
    valids = [verdict.valid for verdict in verdicts]
    return merge([*valids, None] if error or not valids else valids)


def read_record(folder: Path) -> RunRecord:
    """`run.json` of `folder`. Raises BadArguments if there is none."""
    path = folder / "run.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunRecord)
    except OSError as problem:
        raise BadArguments(
            f"{folder} is not the folder of a run: no {path.name} ({problem.strerror})"
        ) from problem
    except msgspec.MsgspecError as problem:
        raise BadArguments(f"{path} is not a run's record: {problem}") from problem


def read_evidence(folder: Path, record: RunRecord) -> Evidence:
    """All that a run left. Raises HistoryError if its history or traces are none."""
    traces: dict[str, Sequence[TraceEvent]] = {}
    for member in record.members:
        if member.trace and (folder / member.trace).is_file():
            traces[member.name] = tuple(read_trace(folder / member.trace))
    return Evidence(
        history=History.read(folder / "history.jsonl"),
        members=tuple(_states(folder, [member.name for member in record.members])),
        traces=traces,
        availability_bound_ms=record.options.availability_bound_ms,
        search_limit_s=record.options.search_limit_s,
        system=record.options.system,
        workload=record.options.workload,
        watches=read_streams(folder / WATCH_FILE),
        budget=read_limits(record.options.budget),
    )


def _states(folder: Path, members: Sequence[str]) -> list[MemberState]:
    """The members' states; none at all if the run broke off before it asked for them."""
    decoder = msgspec.json.Decoder(MemberState)
    states = []
    for member in members:
        path = folder / member / "state.json"
        if not path.is_file():
            continue
        try:
            states.append(decoder.decode(path.read_bytes()))
        except msgspec.MsgspecError as problem:
            states.append(MemberState(member, error=f"{path.name} is no member's state: {problem}"))
    if not states:
        return []
    known = {state.member for state in states}
    missing = [MemberState(name, error="not asked") for name in members if name not in known]
    return sorted([*states, *missing], key=lambda state: members.index(state.member))


def checkers_of(options: Options, names: Sequence[str] = ()) -> dict[str, Checker]:
    """The checkers by `names`; without, those of the workload. Raises BadArguments."""
    from splitbrain.checkers.catalogue import CHECKERS
    from splitbrain.harness.workloads.catalogue import make_workload

    known: Mapping[str, Checker] = CHECKERS
    wanted = names or make_workload(options.workload, options.workload_options).checkers or known
    if options.budget and not names:
        wanted = tuple(dict.fromkeys((*wanted, "budget")))
    for name in wanted:
        if name not in known:
            raise BadArguments(f"no checker {name!r}; there are {', '.join(known)}")
    return {name: known[name] for name in wanted}


def _results(
    record: RunRecord,
    evidence: Evidence,
    verdicts: tuple[Verdict, ...],
    seconds: float,
    error: str,
) -> Results:
    load_ns = sum(phase.end - phase.begin for phase in record.phases if phase.name == "load")
    ended = sum(operation.outcome != "info" for operation in evidence.history.operations)
    return Results(
        valid=merged(verdicts, error),
        verdicts=verdicts,
        operations=by_function(evidence.history),
        faults=by_fault(evidence),
        reproduce=run_line(record.options, record.seed),
        load_s=round(load_ns / 1e9, 3),
        rate=round(ended / (load_ns / 1e9), 1) if load_ns else 0.0,
        judged_s=round(seconds, 3),
        error=error,
    )
