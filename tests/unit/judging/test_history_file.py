"""`splitbrain check` and `export` on history files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from splitbrain.checkers import catalogue
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.foreign.conversion import Logged
from splitbrain.checkers.foreign.models import MODELS, LogModel
from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.cli.main import run_main
from splitbrain.harness.judging import judge
from splitbrain.harness.report.anomaly import check_pictures
from splitbrain.harness.synthetic.coordination import generate_coordination
from splitbrain.histories.formats.jepsen_edn import read_jepsen_edn
from splitbrain.histories.sidecar import write_members

REGISTER = """\
{:type :invoke, :f :write, :value 3, :process 0, :time 1000000, :index 0}
{:type :ok, :f :write, :value 3, :process 0, :time 3000000, :index 1}
{:type :invoke, :f :read, :value nil, :process 1, :time 4000000, :index 2}
{:type :ok, :f :read, :value ANSWER, :process 1, :time 9000000, :index 3}
"""
VALID, STALE = REGISTER.replace("ANSWER", "3"), REGISTER.replace("ANSWER", "nil")
WRITE_SKEW = """\
{:type :invoke, :f :txn, :value [[:append 1 1] [:r 2 nil]], :process 0, :time 10, :index 0}
{:type :invoke, :f :txn, :value [[:append 2 1] [:r 1 nil]], :process 1, :time 11, :index 1}
{:type :ok, :f :txn, :value [[:append 1 1] [:r 2 []]], :process 0, :time 20, :index 2}
{:type :ok, :f :txn, :value [[:append 2 1] [:r 1 []]], :process 1, :time 21, :index 3}
{:type :invoke, :f :txn, :value [[:r 1 nil] [:r 2 nil]], :process 2, :time 30, :index 4}
{:type :ok, :f :txn, :value [[:r 1 [1]] [:r 2 [1]]], :process 2, :time 31, :index 5}
"""


class Check(Protocol):
    def __call__(
        self, text: str, *options: str, name: str = "history.edn"
    ) -> tuple[int, str, str]: ...


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    """`splitbrain check` of a file with this text: exit code, stdout and stderr."""

    def run_check(text: str, *options: str, name: str = "history.edn") -> tuple[int, str, str]:
        path = tmp_path / name
        path.write_text(text)
        code = run_main(["check", str(path), *options])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_check


def test_a_register_history_of_jepsen_is_judged_with_its_time_and_memory(check: Check) -> None:
    code, output, _ = check(VALID)
    assert code == 0
    assert "jepsen-edn, register: 2 operations" in output
    assert "verdict: valid" in output
    assert re.search(r"seconds: \d+\.\d\d", output)
    assert re.search(r"peak memory: [\d,]+ MiB", output)
    code, output, _ = check(STALE)
    assert code == 1
    assert "verdict: invalid" in output
    assert "does not fit" in output


def test_transactions_are_judged_by_the_consistency_model_that_is_named(check: Check) -> None:
    code, output, _ = check(WRITE_SKEW)
    assert code == 1
    assert "G2-item" in output
    assert check(WRITE_SKEW, "--model", "list-append", "--model", "snapshot-isolation")[0] == 0
    assert check(WRITE_SKEW, "--model", "serializable")[0] == 1


def test_independent_keys_are_inferred_unless_an_option_decides(check: Check) -> None:
    keyed = VALID.replace(":value 3", ":value [7 3]").replace(":value nil", ":value [7 nil]")
    other = "{:type :invoke, :f :read, :value [8 nil], :process 1}\n" \
        "{:type :ok, :f :read, :value [8 nil], :process 1}\n"
    assert check(keyed + other)[0] == 0
    assert check(keyed + other, "--no-keyed")[0] == 1
    code, _, error = check(VALID, "--keyed")
    assert code == 254
    assert "not every value is a pair" in error


def test_a_budget_makes_a_history_invalid(check: Check) -> None:
    code, output, _ = check(VALID, "--budget", "p99=1ms,availability=100%")
    assert code == 1
    assert "p99 is 5 ms, over the budget of 1 ms" in output
    assert check(VALID, "--budget", "p99=5ms,availability=100%")[0] == 0


def test_a_budget_is_undecided_for_a_history_without_times(check: Check) -> None:
    assert check(re.sub(", :time [0-9]+", "", VALID), "--budget", "p99=1ms")[0] == 2


@pytest.mark.parametrize(("text", "options", "message"), [
    ("", (), "is empty"),
    ("nonsense\n", (), "not a history of a known format"),
    (VALID[:-20], (), "cut short"),
    (VALID, ("--format", "json-lines"), ":1: not an event"),
    ("{", ("--format", "transactions"), "has no transaction of a client"),
    (VALID, ("--format", "csv"), "no format 'csv'"),
    (VALID, ("--model", "stack"), "no model 'stack'"),
    (VALID, ("--model", "mutex"), "is no operation of the model mutex"),
    (VALID, ("--model", "serializable"), "only transactions have a consistency model"),
    (VALID, ("--model", "register", "--model", "kv"), "expected one of each kind"),
    (VALID, ("--checker", "mvcc"), "no checker 'mvcc'"),
    (VALID, ("--budget", "p99"), "is not a limit of a budget"),
    (VALID, ("--search-limit", "0"), "expected a number above 0"),
    (VALID, ("--picture", "/no/such/folder/x.html"), "does not exist"),
    (VALID.replace(":read", ":peek"), (), "no model has all of the operations"),
])
def test_bad_input_gives_one_line_and_the_exit_code_254(
    check: Check, text: str, options: tuple[str, ...], message: str
) -> None:
    code, _, error = check(text, *options)
    assert code == 254
    assert message in error
    assert error.startswith("Error: ")
    assert error.count("\n") == 1


def test_a_path_without_a_history_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(["check", str(tmp_path / "none")]) == 254
    assert "does not exist" in capsys.readouterr().err
    assert run_main(["check", str(tmp_path)]) == 254
    assert "not the folder of a run" in capsys.readouterr().err
    (tmp_path / "history.edn").write_text(VALID)
    assert run_main(["check", str(tmp_path)]) == 0


def test_after_an_interrupt_undecided_verdicts_are_unknown(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(logged: Logged, timeout_s: float | None = None, **_: object) -> Verdict:
        raise KeyboardInterrupt

    model = LogModel("a register", frozenset(("read", "write")), {"linearizable": interrupted})
    monkeypatch.setitem(MODELS, "register", model)
    code, output, _ = check(VALID)
    assert code == 2
    assert "unknown  linearizable" in output
    assert "unknown  statistics" in output
    assert "interrupted" in output


def test_an_interrupt_during_the_drawing_keeps_the_verdicts(
    check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> Verdict:
        raise KeyboardInterrupt

    monkeypatch.setattr(check_pictures, "draw_file", interrupted)
    code, output, _ = check(STALE, "--picture", str(tmp_path / "wrong.html"))
    assert code == 1
    assert "verdict: invalid" in output
    assert "picture: none, it was interrupted" in output


def test_a_value_that_was_never_written_needs_no_search(check: Check) -> None:
    many = "".join(
        f'{{"process":{n},"type":"invoke","f":"write","value":{n % 7}}}\n' for n in range(60)
    )
    invoke, ok = ({"process": 99, "type": one, "f": "read", "value": 8} for one in ("invoke", "ok"))
    read = f"{json.dumps(invoke)}\n{json.dumps(ok)}"
    code, output, _ = check(many + read + "\n", "--search-limit", "2")
    assert code == 1
    assert "no order explains this operation (read -> 8)" in output


@pytest.mark.parametrize(("f", "value", "message"), [
    ("cas", 3, "event 0: cas with value 3; expected [old value, new value]"),
    ("append", ["k", 3], "event 0: append with value 3; expected a string"),
])
def test_a_value_that_the_model_cannot_read_is_undecided_and_its_event_is_named(
    check: Check, f: str, value: object, message: str
) -> None:
    lines = [{"process": 0, "type": kind, "f": f, "value": value} for kind in ("invoke", "ok")]
    code, output, _ = check("".join(f"{json.dumps(line)}\n" for line in lines))
    assert code == 2
    assert f"the history cannot be judged: {message}" in output


def test_a_checker_that_runs_out_of_memory_is_undecided(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(logged: Logged, timeout_s: float | None = None, **_: object) -> Verdict:
        raise MemoryError

    model = LogModel("a register", frozenset(("read", "write")), {"linearizable": greedy})
    monkeypatch.setitem(MODELS, "register", model)
    code, output, _ = check(VALID)
    assert code == 2
    assert "the checker ran out of memory" in output


def test_the_verdicts_before_an_interrupt_are_kept() -> None:
    def stops(evidence: Evidence) -> Verdict:
        raise KeyboardInterrupt

    observer = judge.JudgingObserver()
    verdicts = judge.judge_evidence(
        None, {"first": lambda _: Verdict("first", False), "second": stops, "third": stops},  # type: ignore[arg-type]
        observer,
    )
    assert [verdict.valid for verdict in verdicts] == [False, None, None]
    assert observer.interrupted


def test_anomalies_are_drawn_on_a_page(check: Check, tmp_path: Path) -> None:
    page = tmp_path / "wrong.html"
    code, output, _ = check(STALE, "--picture", str(page))
    assert code == 1
    assert f"picture: {page}" in output
    text = page.read_text()
    assert "The first answer that does not fit is that of process" in text
    assert "an order of the other operations" in text
    check(WRITE_SKEW, "--picture", str(page))
    text = page.read_text()
    assert "comes before" in text
    assert '"arrowhead":2' in text
    page.unlink()
    code, output, _ = check(VALID, "--picture", str(page))
    assert "picture: none" in output
    assert not page.exists()


def test_a_simulated_run_that_is_judged_again_keeps_its_invariants_and_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["sim", "--seed", "3", "--time-limit", "2", "--quiet", "--no-report"]
    assert run_main([*arguments, "--store", "s", "--nemesis", "none"]) == 0
    results = tmp_path / "s" / "latest" / "results.json"
    before = json.loads(results.read_text())
    capsys.readouterr()
    assert run_main(["check", "s/latest", "--no-report"]) == 0
    after = json.loads(results.read_text())
    assert after["digest"] == before["digest"] != ""
    assert [v["checker"] for v in after["verdicts"]] == [v["checker"] for v in before["verdicts"]]
    output = capsys.readouterr().out
    assert "report:" not in output
    assert before["digest"] in output
    assert run_main(["check", "s/latest", "--budget", "p50=1us"]) == 1
    assert json.loads(results.read_text()) == after


@pytest.mark.parametrize("workload", ["register", "set"])
def test_an_exported_run_has_the_same_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workload: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["sim", "--seed", "4", "--time-limit", "2", "--nemesis", "none", "--store", "s"]
    assert run_main([*arguments, "--workload", workload, "--quiet", "--no-report"]) == 0
    assert run_main(["export", "s/latest", "-o", "out.edn"]) == 0
    events = list(read_jepsen_edn(Path("out.edn")))
    assert len(events) > 50
    checker = {"register": "linearizable", "set": "set_full"}[workload]
    assert run_main(["check", "out.edn", "--checker", checker]) == 0


def test_a_history_of_ours_without_its_run_is_judged_by_all_checkers_that_apply(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, page = tmp_path / "h.jsonl", tmp_path / "h.html"
    made = ["generate", "--workload", "register", "--ops", "400", "--seed", "2", "-o", str(path)]
    assert run_main(made) == 0
    assert run_main(["check", str(path)]) == 0
    output = capsys.readouterr().out
    assert "valid    mvcc" in output
    assert "valid    linearizable" in output
    assert "not applicable: " in output
    assert run_main(["check", str(path), "--checker", "set_full"]) == 2
    assert run_main(["check", str(path), "--model", "register"]) == 254
    assert run_main([*made, "--corrupt", "missing-key"]) == 0
    capsys.readouterr()
    assert run_main(["check", str(path), "--picture", str(page)]) == 1
    assert "INVALID  linearizable" in capsys.readouterr().out
    assert "an order of the other operations" in page.read_text()


@pytest.mark.parametrize(("workload", "judged"), [
    ("lease", "mvcc"), ("lock", "fencing"), ("election", "election"),
])
def test_a_history_of_leases_locks_or_elections_is_recognised_as_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], workload: str, judged: str
) -> None:
    evidence = generate_coordination(workload, 10, seed=3, pauses=0.2)
    assert evidence is not None
    path = tmp_path / "h.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in evidence.history.events))
    write_members(path, evidence.members)
    assert run_main(["check", str(path)]) == 0
    output = capsys.readouterr().out
    assert f"valid    {judged}" in output
    assert "valid    lease" in output
    assert "mutual_exclusion (" not in output


def test_known_bugs_of_a_file_are_refused_because_the_version_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "h.jsonl"
    path.write_text("")
    assert run_main(["check", str(path), "--known", "all"]) == 254
    assert "--known applies only to the folder of a run" in capsys.readouterr().err


def test_a_history_that_cannot_be_exported_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(["export", str(tmp_path / "none"), "-o", "x"]) == 254
    path = tmp_path / "h.jsonl"
    path.write_text(
        '{"index":0,"time":0,"process":0,"type":"invoke","f":"swap","value":'
        '{"op":"txn","success":[{"op":"put","key":"a"},{"op":"put","key":"b"}]}}\n'
    )
    assert run_main(["export", str(path), "-o", str(tmp_path / "out.edn")]) == 254
    assert "cannot be written as Jepsen's EDN" in capsys.readouterr().err


def test_every_checker_that_files_omit_is_in_the_catalogue() -> None:
    from splitbrain.harness.judging.history_file import NOT_OF_A_FILE

    assert set(NOT_OF_A_FILE) <= set(catalogue.CHECKERS)
