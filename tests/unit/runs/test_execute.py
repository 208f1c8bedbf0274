"""`execute` performs a run from load to verdict, here against a store in this process."""

import asyncio
import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.cli.terminal_progress import PlainLines
from splitbrain.harness.clients.completion import Completion
from splitbrain.harness.drive.member_choice import choose_member
from splitbrain.harness.drive.sessions import Sessions
from splitbrain.harness.judging import judge as judge_module
from splitbrain.harness.judging.judge import judge, judge_evidence
from splitbrain.harness.judging.run_verdict import run_verdict
from splitbrain.harness.runs import execute as execute_module
from splitbrain.harness.runs.execute import execute, run, run_sync
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.records import Results, RunRecord
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.schedule_source import schedule_at
from splitbrain.harness.systems.processes.crash import Crash
from splitbrain.harness.workloads.operations_outside_load import FINAL_FUNCTIONS
from splitbrain.histories.history import History
from splitbrain.histories.kv import Put, Range
from splitbrain.histories.service_operation import AnyRequest
from tests.unit.fake_store import FakeSystem

FAKE = "tests.unit.fake_store:FakeSystem"


def everything_answered(evidence: Evidence) -> Verdict:
    """A checker: some operation was answered, and every member's state was read."""
    if not evidence.history.operations:
        return Verdict("answered", None, why="there are no operations")
    fine = any(one.outcome == "ok" for one in evidence.history.operations)
    return Verdict("answered", fine and all(state.error is None for state in evidence.members))


def never_satisfied(evidence: Evidence) -> Verdict:
    return Verdict("strict", False, (Anomaly("none", "always invalid", (0, 1)),))


@pytest.fixture(autouse=True)
def checkers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Checker]:
    chosen: dict[str, Checker] = {"answered": everything_answered}
    monkeypatch.setattr(judge_module, "checkers_of", lambda options, names=(): chosen)
    monkeypatch.setattr(execute_module, "checkers_of", lambda options, names=(): chosen)
    return chosen


def options(tmp_path: Path, **given: Any) -> Options:
    defaults = {"system": FAKE, "time_limit_s": 0.6, "rate": 200.0, "nodes": (3,), "seed": 3,
                "nemesis": (), "store": str(tmp_path / "store"), "request_timeout_ms": 300}
    return Options(**{**defaults, **given})


@pytest.mark.parametrize("workload", ["register", "kv", "set"])
def test_a_run_leaves_its_folder_and_a_verdict(tmp_path: Path, workload: str) -> None:
    result = run_sync(options(tmp_path, workload=workload), report=False)
    assert (result.valid, result.exit_code, result.ended) == (True, 0, "time limit")
    names = {path.name for path in result.folder.iterdir()}
    assert names >= {"run.json", "schedule.json", "history.jsonl", "nemesis.jsonl", "results.json",
                     "repro.json", "n1", "n2", "n3"}
    record = msgspec.json.decode((result.folder / "run.json").read_bytes(), type=RunRecord)
    assert [phase.name for phase in record.phases] == [
        "set-up", "load", "heal", "quiet", "final writes", "final reads", "gather"
    ]
    assert record.serving == ("n1", "n2", "n3")
    assert record.quiet is True
    history = History.read(result.folder / "history.jsonl")
    assert sum(one.outcome == "ok" for one in history.operations) > 50
    finals = [one for one in history.operations if one.f == "final_read"]
    assert {one.node for one in finals} == {"n1", "n2", "n3"}
    assert all(one.outcome == "ok" for one in finals)
    writes = [one for one in history.operations if one.f == "final_write"]
    assert {(one.node, one.outcome) for one in writes} == {
        ("n1", "ok"), ("n2", "ok"), ("n3", "ok")
    }


def test_faults_are_injected_healed_and_recorded(tmp_path: Path) -> None:
    given = options(tmp_path, nemesis=("kill", "pause"), time_limit_s=2.0)
    result = run_sync(given, report=False)
    history = History.read(result.folder / "history.jsonl")
    assert {window.f for window in history.faults} == {"kill", "pause"}
    assert all(window.end is not None for window in history.faults)
    assert result.results.operations["all"]["fail"] > 0
    assert [one.fault for one in result.results.faults] == [one.fault for one in history.faults]
    assert result.valid is True


def test_a_process_is_retired_when_its_operation_is_unclear(tmp_path: Path) -> None:
    given = options(tmp_path, nemesis=("pause",), time_limit_s=2.0, workload="set",
                    request_timeout_ms=100)
    history = History.read(run_sync(given, report=False).folder / "history.jsonl")
    unclear = {one.process for one in history.operations if one.outcome == "info"}
    assert unclear
    for process in unclear:
        last = [one for one in history.operations if one.process == process][-1]
        assert last.outcome == "info"
    processes = {one.process for one in history.operations if one.f not in FINAL_FUNCTIONS}
    assert processes > set(range(given.clients))
    for process in processes - set(range(given.clients)):
        assert process - given.clients in unclear


def test_a_replay_runs_the_same_schedule(tmp_path: Path) -> None:
    first = run_sync(options(tmp_path, seed=None), report=False)
    schedule = schedule_at(first.folder)
    second = execute(schedule, report=False)
    assert second.folder != first.folder
    assert schedule_at(second.folder) == schedule
    assert second.results.reproduce == first.results.reproduce
    assert f"--seed {schedule.seed}" in first.results.reproduce


def test_a_run_works_on_the_loop_of_the_caller(tmp_path: Path) -> None:
    result = asyncio.run(run(options(tmp_path), report=False))
    assert result.valid is True


@contextlib.contextmanager
def interrupted_when(*conditions: Callable[[], bool]) -> Iterator[None]:
    """Send SIGINT to this process when the next condition is true, until the block ends."""
    over = threading.Event()

    def interrupt() -> None:
        for condition in conditions:
            while not condition():
                if over.wait(0.01):
                    return
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def under_load(store: Path) -> Callable[[], bool]:
    """Whether a run in `store` has recorded some operations."""
    return lambda: any(
        path.read_bytes().count(b"\n") > 10 for path in store.rglob("history.jsonl")
    )


def test_ctrl_c_ends_the_load_early_and_the_run_is_judged(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupted_when(under_load(tmp_path)):
        result = run_sync(options(tmp_path, time_limit_s=120.0), report=False)
    assert (result.ended, result.valid) == ("interrupted", True)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_stops_everything_at_once(tmp_path: Path) -> None:
    made: list[FakeSystem] = []
    output: list[str] = []
    asked = threading.Event()

    def make(schedule: Schedule, folder: Path) -> FakeSystem:
        class Slow(FakeSystem):
            async def leader(self) -> None:
                asked.set()
                await asyncio.sleep(600)
        made.append(Slow(schedule.members, folder))
        return made[0]

    def was_interrupted() -> bool:
        return any("interrupted" in line for line in output)

    stopping = interrupted_when(asked.is_set, was_interrupted)
    with stopping, pytest.raises(KeyboardInterrupt):
        run_sync(
            options(tmp_path, time_limit_s=120.0), make=make, report=False,
            progress=PlainLines(output.append),
        )
    assert output[-1] == f"judge what was recorded with: splitbrain check {made[0].folder}"
    assert made[0].stopped == 1
    record = RunFolder(made[0].folder).read_record()
    assert (record.ended, record.error) == ("failed", "the run was stopped before its end")


def test_a_system_that_fails_ends_the_run_and_is_stopped_and_recorded(tmp_path: Path) -> None:
    made: list[FakeSystem] = []

    def make(schedule: Schedule, folder: Path) -> FakeSystem:
        class Broken(FakeSystem):
            async def start(self) -> None:
                await super().start()
                raise RuntimeError("no disk")
        made.append(Broken(schedule.members, folder))
        return made[0]

    result = run_sync(options(tmp_path), make=make, report=False)
    assert made[0].stopped
    assert (result.exit_code, result.ended) == (255, "failed")
    assert "no disk" in result.error
    saved = msgspec.json.decode((result.folder / "results.json").read_bytes(), type=Results)
    assert "no disk" in saved.error
    assert saved.valid is not True


def crashing(crash: Crash | str) -> Callable[[Schedule, Path], FakeSystem]:
    """Makes a system whose member n2 ends after a few operations, as `crash` describes."""

    def make(schedule: Schedule, folder: Path) -> FakeSystem:
        class Crashing(FakeSystem):
            ended: tuple[Crash | str, ...] = ()

            def ended_by_themselves(self) -> tuple[Crash | str, ...]:
                if self.store.revision > 20 and not self.ended:
                    self.ended = (crash,)
                    asyncio.get_running_loop().create_task(self.kill("n2"))
                return self.ended

        return Crashing(schedule.members, folder)

    return make


PANIC = Crash(
    "n2", "exit code 2", ("panic: index out of range", "goroutine 7 [running]:"),
    ("the last line but one", "exit status 2"), "elsewhere/n2.log",
)


def test_a_member_that_ends_by_itself_makes_the_run_invalid_and_the_load_goes_on(
    tmp_path: Path,
) -> None:
    result = run_sync(options(tmp_path), make=crashing(PANIC))
    assert (result.valid, result.exit_code, result.error) == (False, 1, "")
    (crashed,) = [one for one in result.results.verdicts if one.checker == "crashed"]
    (anomaly,) = crashed.anomalies
    assert anomaly.members == ("n2",)
    for words in ("n2 ended by itself with exit code 2", "  panic: index out of range\n",
                  "  exit status 2"):
        assert words in anomaly.because
    record = RunFolder(result.folder).read_record()
    (crash,) = record.crashes
    assert record.ended_members == ("n2",)
    history = History.read(result.folder / "history.jsonl")
    down = crash.at + 150_000_000  # the end takes some time
    later = [one for one in history.operations if one.call > down and one.outcome == "ok"]
    assert {one.node for one in later} == {"n1", "n3"}
    assert {one.node for one in history.operations if one.f == "final_read"} == {"n1", "n3"}
    again = judge(RunFolder(result.folder))
    assert [one.checker for one in again.results.verdicts] == ["answered", "crashed"]
    assert again.exit_code == 1
    assert "n2 ended by itself at" in (result.folder / "report.html").read_text()


def test_a_system_may_describe_a_crash_by_a_text(tmp_path: Path) -> None:
    result = run_sync(options(tmp_path), make=crashing("n2 hit an assertion"), report=False)
    assert result.exit_code == 1
    (crash,) = RunFolder(result.folder).read_record().crashes
    assert (crash.member, crash.how) == ("n2", "hit an assertion")


def test_a_crash_that_is_allowed_is_listed_and_the_run_is_valid(tmp_path: Path) -> None:
    result = run_sync(options(tmp_path, allow_crash=True), make=crashing(PANIC), report=False)
    assert (result.valid, result.exit_code) == (True, 0)
    crashed = result.results.verdicts[-1]
    assert crashed.counts == {"ended by themselves": 1, "excused": 1}


def test_the_record_of_an_older_run_has_no_crashes(tmp_path: Path) -> None:
    folder = RunFolder(run_sync(options(tmp_path), report=False).folder)
    record = msgspec.json.decode(folder.record.read_bytes())
    del record["crashes"], record["ended_members"]
    del record["options"]["allow_crash"]
    folder.record.write_bytes(msgspec.json.encode(record))
    assert folder.read_record().crashes == ()


def test_the_history_before_a_failure_of_the_load_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()
    invoke = Sessions.invoke

    async def fail_later(
        self: Sessions, process: int, f: str, request: AnyRequest, member: str
    ) -> Completion:
        if next(calls) > 60:
            raise RuntimeError("gone")
        return await invoke(self, process, f, request, member)

    monkeypatch.setattr(Sessions, "invoke", fail_later)
    result = run_sync(options(tmp_path), report=False)
    assert result.ended == "failed"
    assert result.results.operations["all"]["ok"] > 50


def test_an_anomaly_makes_the_exit_code_one(tmp_path: Path, checkers: dict[str, Checker]) -> None:
    checkers["strict"] = never_satisfied
    result = run_sync(options(tmp_path), report=False)
    assert (result.valid, result.exit_code) == (False, 1)
    again = judge(RunFolder(result.folder), {"answered": everything_answered})
    assert (again.valid, again.exit_code) == (True, 0)


def test_a_checker_that_raises_has_not_passed() -> None:
    def broken(evidence: Evidence) -> Verdict:
        raise ZeroDivisionError("oops")

    verdicts = judge_evidence(None, {"broken": broken})  # type: ignore[arg-type]
    assert (verdicts[0].valid, verdicts[0].checker) == (None, "broken")
    assert "ZeroDivisionError: oops" in verdicts[0].why


def test_unknown_is_never_a_pass() -> None:
    good, bad, open_ = (Verdict("c", valid) for valid in (True, False, None))
    assert run_verdict([good, good]) is True
    assert run_verdict([good, open_]) is None
    assert run_verdict([good, open_, bad]) is False
    assert run_verdict([]) is None
    assert run_verdict([good], error="broke off") is None


def test_an_operation_for_a_follower_never_goes_to_the_leader() -> None:
    members = ("n1", "n2", "n3")
    for number in range(3):
        scheduled = ScheduledOperation(0, "get", Range("a"), number, to_follower=True)
        assert choose_member(scheduled, members, "n2") in ("n1", "n3")
        assert choose_member(scheduled, members, None) == members[number]
        assert choose_member(scheduled, ("n1",), "n1") == "n1"


def test_an_answer_that_cannot_be_decoded_is_unclear(tmp_path: Path) -> None:
    def put(request: dict[str, Any]) -> Any:
        return ["what"]

    def make(schedule: Schedule, folder: Path) -> FakeSystem:
        system = FakeSystem(schedule.members, folder)
        system.store.put = put  # type: ignore[method-assign]
        return system

    result = run_sync(options(tmp_path, workload="set"), make=make, report=False)
    history = History.read(result.folder / "history.jsonl")
    puts = [one for one in history.operations if isinstance(one.request, Put)]
    assert puts
    assert {one.outcome for one in puts} == {"info"}
    assert Completion("ok").error == ""
