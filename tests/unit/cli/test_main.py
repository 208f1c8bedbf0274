"""The commands of the command line: help, options, exit codes, and a run from start to replay."""

import errno
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.cli.main import COMMANDS, run_main
from splitbrain.harness.judging import judge as judge_module
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs import execute as execute_module
from splitbrain.harness.schedule.command_line import sim_line
from splitbrain.harness.schedule.options import FLAGS, Options, flag_of
from splitbrain.harness.store import run_folder
from splitbrain.harness.store.records import Results

FAKE = "tests.unit.fake_store:FakeSystem"
SHORT = ["--system", FAKE, "--nemesis", "none", "--nodes", "1", "--rate", "50",
         "--time-limit", "0.2", "--quiet", "--no-report"]


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Verdict]:
    """The verdict of the only checker. The working directory is a folder of the test."""
    chosen = [Verdict("one", True)]
    monkeypatch.setattr(
        judge_module, "checkers_of", lambda options, names=(): {"one": lambda evidence: chosen[0]}
    )
    monkeypatch.chdir(tmp_path)
    return chosen


def test_help_names_every_command_and_exit_code() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "from splitbrain.harness.cli.main import main; main()", "--help"],
        capture_output=True, text=True, check=True,
    ).stdout
    for word in (*COMMANDS, "254", "255"):
        assert word in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_help_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Usage: splitbrain " + name in shown
    assert len(shown.splitlines()) > 6


def test_every_option_of_a_run_can_be_given_on_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_main(["run", "--help"])
    shown = capsys.readouterr().out
    renamed = {
        "workload_options": "workload-option", "member_flags": "member-flag",
        "client_options": "client-option", "system_options": "system-option",
        "checkers": "checker",
    }
    for name in Options.__struct_fields__:
        assert "--" + renamed.get(name, flag_of(name)) in shown
    assert set(FLAGS) <= set(Options.__struct_fields__)


def test_a_run_that_cannot_reach_its_mutant_names_the_command_that_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = RunResult(tmp_path, Results(True, (), {}, (), ""), "time limit")
    monkeypatch.setattr(execute_module, "execute", lambda *_, **__: result)
    given = ["--mutant", "wal_not_synced", "--workload", "set", "--seed", "1"]
    for quiet in ([], ["--quiet"]):
        assert run_main(["run", *given, *quiet]) == 0
        shown = click.unstyle(capsys.readouterr().err)
        assert shown.count("splitbrain run --mutant wal_not_synced") == 1
        assert "the workload kv, not set" in shown
    assert run_main(["run", "--mutant", "wal_not_synced", "--seed", "1"]) == 0
    assert "splitbrain run --mutant" not in capsys.readouterr().err


@pytest.mark.parametrize(("verdict", "code"), [
    (Verdict("one", True), 0),
    (Verdict("one", False, (Anomaly("lost", "3.7 is not there", (4, 9)),)), 1),
    (Verdict("one", None, why="no traces"), 2),
])
def test_the_exit_code_is_the_verdict(
    verdicts: list[Verdict], capsys: pytest.CaptureFixture[str], verdict: Verdict, code: int
) -> None:
    verdicts[0] = verdict
    assert run_main(["run", "--seed", "3", *SHORT]) == code
    shown = click.unstyle(capsys.readouterr().out)
    assert ("reproduce: splitbrain run" in shown) == (code != 0)
    if code == 1:
        assert "lost: 3.7 is not there  [events 4, 9]" in shown
        assert "--seed 3" in shown


def test_a_run_can_be_judged_again_and_replayed(
    verdicts: list[Verdict], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(["run", "--seed", "3", *SHORT]) == 0
    verdicts[0] = Verdict("one", False)
    assert run_main(["check", "store/latest", "--no-report"]) == 1
    capsys.readouterr()
    assert run_main(["replay", "store/latest/repro.json", "--times", "3", "--quiet"]) == 1
    shown = capsys.readouterr().out
    assert "repeat the schedule" in shown
    assert "try 1 of 3" in shown
    assert "try 2 of 3" not in shown


@pytest.mark.parametrize("arguments", [
    ["run", "--nemesis", "kil"],
    ["run", "--nodes", "many"],
    ["run", "--clients", "x"],
    ["run", "--no-such-option"],
    ["run", "-o", "keys"],
    ["run", "--workload", "nothing"],
    ["run", "--workload", "register", "-o", "kees=3"],
    ["run", "--workload", "no.such.module:Thing"],
    ["run", "--mutant", "nothing"],
    ["replay", "."],
    ["check", "."],
    ["serve", "--store", "nowhere"],
    ["run", *SHORT, "--store", "/dev/null"],
    ["run", "--system", "etcd", "--etcd-binary", "/dev/null"],
    ["hunt", "--budget", "0"],
    ["hunt", "--budget", "nan"],
    ["hunt", "--all"],
    ["hunt", "--system", "etcd", "--adaptive"],
    ["hunt", "--system", "etcd", "--etcd-binary", "/dev/null"],
    ["nothing"],
    [],
])
def test_bad_arguments_end_with_254(
    verdicts: list[Verdict], arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(arguments) == 254
    assert capsys.readouterr().err.strip()


def test_a_full_disk_gives_one_line_without_a_traceback(
    verdicts: list[Verdict], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, value: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(run_folder, "write_json", full)
    assert run_main(["run", *SHORT]) == 255
    output = capsys.readouterr().err
    assert "cannot be written: No space left on device: " in output
    assert "Traceback" not in output


def test_an_error_of_a_workload_is_reported_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faulty.py").write_text(
        "class Words:\n"
        "    name = 'words'; description = ''; checkers = ()\n"
        "    def operations(self, chance, client):\n"
        "        while True: yield 'nonsense'\n"
        "    def final_operations(self, clients): return ()\n"
        "class Judged(Words):\n"
        "    checkers = ('mvcc', 'nobody')\n"
        "    def operations(self, chance, client): return iter(())\n"
    )
    for name, message in (("Words", "yielded 'nonsense' as an"), ("Judged", "no checker 'nobody'")):
        assert run_main(["run", "--workload", f"faulty:{name}", *SHORT]) == 254
        assert message in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_a_workload_of_the_user_is_run(
    verdicts: list[Verdict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_work.py").write_text(
        "import splitbrain as sb\n"
        "class Mine:\n"
        "    name = 'mine'; description = 'puts'; checkers = ()\n"
        "    def __init__(self, size=1): self.size = size\n"
        "    def operations(self, chance, client):\n"
        "        values = sb.UniqueValues(client)\n"
        "        while True: yield sb.Draft('put', sb.Put('x' * self.size, values.take()))\n"
        "    def final_operations(self, clients):\n"
        "        return [sb.Draft(sb.FINAL_READ, sb.Range('x' * self.size))]\n"
    )
    assert run_main(["run", "--workload", "own_work:Mine", "-o", "size=3", *SHORT]) == 0
    assert '"key":"xxx"' in (tmp_path / "store/latest/history.jsonl").read_text()


def test_the_names_of_systems_workloads_and_checkers_are_listed(
    capsys: pytest.CaptureFixture[str]
) -> None:
    for what, name in (("workloads", "register"), ("nemeses", "partition"), ("systems", "etcd")):
        assert run_main(["list", what]) == 0
        assert name in capsys.readouterr().out


@pytest.mark.parametrize("name", ["sim", "shrink"])
def test_simulation_has_no_option_that_only_processes_use(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--heartbeat-ms" in shown
    assert not re.search("--(etcd-binary|member-flag|system)", shown)
    assert run_main([name, "--system", "etcd"]) == 254


def test_the_command_of_a_seed_contains_the_given_options_and_no_folder() -> None:
    given = {"system": "simulated", "store": "/somewhere", "nemesis": ["kill"], "rate": 50.0,
             "trace": False, "workload_options": {"keys": 3}}
    assert sim_line(7, given) == (
        "splitbrain sim --nemesis kill --rate 50 --no-trace -o keys=3 --seed 7"
    )
    assert sim_line(7, {"nemesis": []}) == "splitbrain sim --nemesis none --seed 7"


def test_the_package_can_be_run_as_a_module() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "splitbrain", "--version"], capture_output=True, text=True,
        check=True,
    )
    assert ran.stdout.startswith("splitbrain, version ")
