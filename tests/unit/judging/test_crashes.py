"""A member's end is a crash unless a fault explains it, and the verdict names the proof."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from splitbrain.harness.judging.crash_verdict import crash_verdict, lets_stop
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.records import RunRecord
from splitbrain.harness.systems.processes.crash import Crash, crash_of, ending, first_panic_lines
from splitbrain.histories.history import FaultWindow
from splitbrain.nemesis.disk_fault import BitRot, DiskFault
from splitbrain.nemesis.fault import AtStep, Fault, Kill, Partition, PowerLoss
from splitbrain.nemesis.fault_events import name_of

S = 1_000_000_000


def window(fault: Fault, *members: str) -> FaultWindow:
    """`fault` in force from 10 s to 20 s."""
    return FaultWindow(
        0, name_of(fault), members, 10 * S, 20 * S, msgspec.Raw(msgspec.json.encode(fault))
    )


@pytest.mark.parametrize(("fault", "at_s", "excused"), [
    (Kill(), 15, True),
    (Kill(), 9, False),
    (Kill(), 20.5, True),
    (Kill(), 25, False),
    (PowerLoss(), 15, True),
    (AtStep("before_leader_wal"), 15, True),
    (AtStep("before_leader_wal", do="power"), 15, True),
    (AtStep("before_leader_wal", do="pause"), 15, False),
    (DiskFault(full=True), 15, True),
    (DiskFault(full=True), 25, False),
    (DiskFault(sync_error_percent=1.0), 15, True),
    (DiskFault(slow_ms=10), 15, False),
    (DiskFault(lying=True), 60, True),
    (DiskFault(lying=True), 9, False),
    (BitRot(), 60, True),
    (Partition(), 15, False),
])
def test_a_fault_excuses_the_ends_that_it_lets_happen(
    fault: Fault, at_s: float, excused: bool
) -> None:
    crash = Crash("n2", "exit code 1", at=int(at_s * S))
    assert lets_stop(window(fault, "n1", "n2"), crash) is excused
    assert not lets_stop(window(fault, "n1"), crash), "a fault of another member"


def test_a_member_whose_port_was_taken_leaves_the_run_undecided() -> None:
    crash = Crash("n2", "exit code 1", log_tail=("bind: address already in use",))
    record = RunRecord("t", 1, Options(), "", crashes=(crash,))
    verdict = crash_verdict(record, ())
    assert verdict is not None
    assert verdict.valid is None
    assert verdict.why == "n2 could not start again, because another program took its port"


@pytest.mark.parametrize(("code", "words"), [
    (0, "exit code 0"), (2, "exit code 2"), (-6, "signal 6 (SIGABRT)"), (-77, "signal 77"),
])
def test_an_exit_code_is_shown_in_words(code: int, words: str) -> None:
    assert ending(code) == words


@pytest.mark.parametrize(("lines", "first"), [
    (["started", "panic: no", "\tpanic: again", "", "goroutine 1"], "panic: no"),
    (['{"level":"info"}', '{"level":"panic","msg":"x"}', "panic: x"],
     '{"level":"panic","msg":"x"}'),
    (["Error: read ECONNRESET", "/usr/lib/store.js:183", "    throw new Error('BUG');", "    ^",
      "Error: BUG", "    at unlock (/usr/lib/store.js:183:19)"], "/usr/lib/store.js:183"),
    (["Traceback (most recent call last):", "  File", "KeyError", "served again",
      "Traceback (most recent call last):", "  the last one"],
     "Traceback (most recent call last):"),
    (["thread 'main' panicked at src/main.rs:3:5:", "boom"],
     "thread 'main' panicked at src/main.rs:3:5:"),
    (["db: db.c:7: main: Assertion `x' failed.", "Aborted"],
     "db: db.c:7: main: Assertion `x' failed."),
])
def test_the_first_lines_of_the_last_panic_are_found(lines: list[str], first: str) -> None:
    assert first_panic_lines(lines)[0] == first


def test_a_log_without_a_panic_has_no_panic_lines() -> None:
    assert first_panic_lines(["started", "stopped"]) == ()
    assert first_panic_lines([]) == ()


def test_only_the_output_of_the_process_itself_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("panic: of an earlier process\n")
    begin = log.stat().st_size
    with log.open("a") as file:
        file.write("started\nended\n")
    crash = crash_of("n1", 3, log, begin)
    assert crash == Crash("n1", "exit code 3", (), ("started", "ended"), str(log))
    assert crash_of("n1", 3, tmp_path / "none").log_tail[0].startswith("(no log: ")
