"""Judges the folder of a run: the verdict of each checker, and the merged verdict.

`splitbrain check` judges a stored run with the same code that judged the run when it ended.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from splitbrain.checkers.budget_limits import read_limits
from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.verdict import Verdict, grouped
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.any_store_evidence import read_log_evidence
from splitbrain.harness.judging.crash_verdict import CRASHED, crash_verdict
from splitbrain.harness.judging.missing_evidence import EVIDENCE, missing_evidence
from splitbrain.harness.judging.operation_counts import by_fault, by_function
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.judging.run_verdict import run_verdict
from splitbrain.harness.judging.serving_members import excused_members, serving_members
from splitbrain.harness.judging.tls_verdict import TLS, tls_verdict
from splitbrain.harness.known_bugs.catalogue import excused_bugs
from splitbrain.harness.known_bugs.excuse import excused
from splitbrain.harness.known_bugs.known_bug import KnownBug
from splitbrain.harness.schedule.command_line import run_line
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.records import Results, RunRecord
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.systems.member_settings.lease_checkpoints import lease_checkpoints
from splitbrain.harness.systems.member_settings.watch_progress import watch_progress_ms
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.history import FaultWindow, History
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.trace import TraceEvent, read_trace
from splitbrain.histories.watch import read_streams

OF_THE_RUN = (CRASHED, EVIDENCE, TLS)
"""The names of the verdicts that `judge` adds to those of the checkers."""
INTERRUPTED = "interrupted before it was decided"


class JudgingObserver:
    """Displays the progress of judging.

    If the user interrupts the judging, `interrupted` becomes True, and the verdicts of the
    remaining checkers are unknown.
    """

    interrupted = False

    def show(self, doing: str) -> None:
        """Show what is done now. `doing` is "reading", or the name of the checker that begins."""


def judge(
    folder: RunFolder,
    checkers: Mapping[str, Checker] | None = None,
    observer: JudgingObserver | None = None,
    record: RunRecord | None = None,
    *,
    found_in_run: Sequence[Verdict] | None = None,
    digest: str = "",
) -> RunResult:
    """Judge the run in `folder` and write its `results.json`.

    - `checkers`: None means the checkers of the run's workload.
    - `observer` displays the progress, and can interrupt the judging.
    - `record`: the content of `run.json`; None means that the file is read.
    - `found_in_run`: the verdicts that the simulation itself found, such as a broken invariant of
      Raft. If `found_in_run` and `checkers` are both None, these verdicts and the digest are taken
      from an existing `results.json`.
    - `digest`: the digest of the simulated run.

    `results.json` is not written in three cases:

    - `checkers` are given, because the stored verdict is that of all checkers of the run.
    - The judging was interrupted.
    - The history cannot be read, and `results.json` exists already.

    Raises BadArguments if `record` and `run.json` are both missing.
    """
    record = record or folder.read_record()
    began = time.perf_counter()
    error, unreadable = record.error, ""
    evidence = Evidence(History.of(()))
    try:
        if observer:
            observer.show("reading")
        read = read_log_evidence if record.options.client else read_evidence
        evidence = read(folder, record)
    except (HistoryError, OSError) as problem:
        unreadable = f"the history cannot be read: {problem}"
        error = error or unreadable
    except KeyboardInterrupt:
        if observer is None:
            raise
        observer.interrupted = True
    chosen = checkers or checkers_of(record.options)
    bugs = excused_bugs(record.options.known, record.versions)
    verdicts = (
        tuple(Verdict(name, None, why=unreadable) for name in chosen) if unreadable
        else judge_evidence(evidence, chosen, observer, bugs)
    )
    if found_in_run is None:
        found_in_run, digest = _found_earlier(folder) if checkers is None else ((), "")
    verdicts = (*verdicts, *(one for one in found_in_run if one.checker not in chosen))
    crashed = crash_verdict(record, evidence.history.faults)
    verdicts = verdicts if crashed is None else (*verdicts, excused(crashed, bugs))
    encrypted = tls_verdict(record)
    verdicts = verdicts if encrypted is None else (*verdicts, encrypted)
    lacking = missing_evidence(verdicts, evidence.history, _accepted(record.options, checkers))
    verdicts = verdicts if lacking is None else (*verdicts, lacking)
    verdicts = tuple(map(grouped, verdicts))
    results = _results(folder, record, evidence, verdicts, error)
    results = msgspec.structs.replace(
        results, digest=digest, judged_s=round(time.perf_counter() - began, 3)
    )
    # Earlier results are kept, because they say more than those of an unreadable history.
    keep = bool(unreadable) and folder.read_results() is not None
    if checkers is None and not keep and not (observer and observer.interrupted):
        folder.write_results(results)
    return RunResult(folder.path, results, record.ended, error)


def _accepted(
    options: Options, checkers: Mapping[str, Checker] | None
) -> tuple[str, ...] | None:
    """Return the functions whose operations may all fail.

    `missing_evidence.missing_evidence` gets the result as its argument `may_always_fail`. Returns
    None if `checkers` is not None. Then only some checkers of the run are used, and the outcomes of
    functions are not judged.
    """
    from splitbrain.harness.workloads.workload_of_run import workload_of

    if checkers is not None:
        return None
    workload = workload_of(options)
    return (*getattr(workload, "may_always_fail", ()), *options.allow_unanswered)


def _found_earlier(folder: RunFolder) -> tuple[tuple[Verdict, ...], str]:
    """Return the verdicts in `results.json` that the simulation itself found, and the run's digest.

    Returns ((), "") if the file is missing or is that of a run of real processes.
    """
    from splitbrain.checkers.catalogue import CHECKERS

    earlier = folder.read_results()
    if earlier is None or not earlier.digest:
        return (), ""
    known = (*CHECKERS, *OF_THE_RUN)
    kept = tuple(verdict for verdict in earlier.verdicts if verdict.checker not in known)
    return kept, earlier.digest


def judge_evidence(
    evidence: Evidence,
    checkers: Mapping[str, Checker],
    observer: JudgingObserver | None = None,
    bugs: Sequence[KnownBug] = (),
) -> tuple[Verdict, ...]:
    """Call every checker, and return its verdict.

    Anomalies that show one of `bugs` are moved to `Verdict.known`. If a checker raises an
    exception, its verdict is unknown. With an `observer`, a KeyboardInterrupt ends the judging, and
    the remaining verdicts are unknown too.
    """
    verdicts = []
    for name, checker in checkers.items():
        if observer is None:
            verdicts.append(_verdict_of(name, checker, evidence, bugs))
            continue
        if not observer.interrupted:
            observer.show(name)
            try:
                verdicts.append(_verdict_of(name, checker, evidence, bugs))
                continue
            except KeyboardInterrupt:
                observer.interrupted = True
        verdicts.append(Verdict(name, None, why=INTERRUPTED))
    return tuple(verdicts)


def _verdict_of(
    name: str, checker: Checker, evidence: Evidence, bugs: Sequence[KnownBug]
) -> Verdict:
    began = time.perf_counter()
    try:
        verdict = checker(evidence)
    except HistoryError as problem:
        verdict = Verdict(name, None, why=f"the history cannot be judged: {problem}")
    except MemoryError:
        verdict = Verdict(name, None, why="the checker ran out of memory")
    except Exception as problem:
        why = f"the checker failed: {type(problem).__name__}: {problem}"
        verdict = Verdict(name, None, why=why)
    verdict = msgspec.structs.replace(verdict, checker=name)
    return msgspec.structs.replace(
        grouped(excused(verdict, bugs)), seconds=round(time.perf_counter() - began, 3),
    )


def read_evidence(folder: RunFolder, record: RunRecord) -> Evidence:
    """Read everything that the checkers judge from the folder of a run.

    Raises HistoryError if the history or a trace cannot be read.
    """
    traces: dict[str, Sequence[TraceEvent]] = {}
    for member in record.members:
        if member.trace and (folder.path / member.trace).is_file():
            traces[member.name] = tuple(read_trace(folder.path / member.trace))
    settings = folder.read_settings()
    interval_s, persist = lease_checkpoints(
        record.options.system, record.options.member_flags, settings
    )
    history = History.read(folder.history)
    gone = _gone(record, history.faults)
    judged = [member.name for member in record.members if member.name not in gone]
    return Evidence(
        history=history,
        members=tuple(_states(folder, judged)),
        traces=traces,
        availability_bound_ms=record.options.availability_bound_ms,
        serving=serving_members(record, history.faults),
        excused=(*excused_members(record, history.faults), *gone),
        stalls=tuple((one.begin, one.end) for one in record.stalls),
        search_limit_s=record.options.search_limit_s,
        system=record.options.system,
        workload=record.options.workload,
        watches=read_streams(folder.watches),
        budget=read_limits(record.options.budget),
        watch_progress_ms=watch_progress_ms(
            record.options.system, record.options.member_flags, record.versions, settings
        ),
        lease_checkpoint_s=interval_s,
        lease_checkpoints_persist=persist,
        settings=settings,
    )


def _gone(record: RunRecord, faults: Sequence[FaultWindow]) -> tuple[str, ...]:
    """Return the crashed members that need not serve at the end.

    These are all crashed members in two cases: the option `allow_crash` is set, or every crash
    shows a known bug or is excused by a fault. In all other cases the result is ().
    """
    crashed = crash_verdict(record, faults)
    bugs = excused_bugs(record.options.known, record.versions)
    known = crashed is not None and excused(crashed, bugs).valid is True
    return tuple(record.ended_members) if record.options.allow_crash or known else ()


def _states(folder: RunFolder, members: Sequence[str]) -> list[MemberState]:
    """Return the members' final states; [] if the run failed before it gathered any."""
    states = [folder.read_state(member) for member in members]
    if not any(states):
        return []
    return [
        state or MemberState(member, error="the state was not gathered")
        for member, state in zip(members, states, strict=True)
    ]


def checkers_of(options: Options, names: Sequence[str] = ()) -> dict[str, Checker]:
    """Return the checkers called `names`.

    If `names` is empty, the checkers are those of the workload and of `options`. A name may be a
    dotted path. Raises BadArguments if there is no such checker.
    """
    from splitbrain.checkers.catalogue import CHECKERS
    from splitbrain.checkers.foreign.log_checkers import LOG_CHECKERS
    from splitbrain.harness.judging.user_checkers import load_checker
    from splitbrain.harness.workloads.workload_of_run import workload_of

    known: Mapping[str, Checker] = LOG_CHECKERS if options.client else CHECKERS
    chosen = names or (workload_of(options).checkers or known)
    if not names:
        budget = ("budget",) if options.budget else ()
        chosen = tuple(dict.fromkeys((*chosen, *options.checkers, *budget)))
    return {
        name: known[name] if name in known
        else load_checker(name, known, of_log=bool(options.client))
        for name in chosen
    }


def _results(
    folder: RunFolder,
    record: RunRecord,
    evidence: Evidence,
    verdicts: tuple[Verdict, ...],
    error: str,
) -> Results:
    load_ns = sum(phase.end - phase.begin for phase in record.phases if phase.name == "load")
    ended = sum(operation.outcome != "info" for operation in evidence.history.operations)
    return Results(
        valid=run_verdict(verdicts, error),
        verdicts=verdicts,
        operations=by_function(evidence.history),
        faults=by_fault(evidence),
        reproduce=_command_of(folder) or run_line(record.options, record.seed),
        load_s=round(load_ns / 1e9, 3),
        rate=round(ended / (load_ns / 1e9), 1) if load_ns else 0.0,
        error=error,
    )


def _command_of(folder: RunFolder) -> str:
    """Return the command that `repro.json` contains; "" if the file cannot be read."""
    try:
        return folder.read_repro().command
    except BadArguments:
        return ""
