"""The workloads `append` and `wr` draw transactions, send them, and judge the answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.transactions.checker import check_history
from splitbrain.checkers.transactions.kv_transactions import transactions_of
from splitbrain.harness.cli.main import run_main
from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.drive.load import LOOK
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.workloads.append import Append as AppendWorkload
from splitbrain.harness.workloads.append import WriteRead
from splitbrain.histories.history import History, Operation, Outcome
from splitbrain.histories.kv import (
    Compare,
    Delete,
    DeleteResult,
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Request,
    Result,
    Txn,
    TxnResult,
)
from splitbrain.histories.list_value import added_by, elements_of, extended, fresh
from splitbrain.histories.random_stream import stream
from splitbrain.histories.transaction import Append, Read, Transaction, Write

X = KeyValue("x", "1.1 | 2.1", mod_revision=7)


def test_a_list_contains_what_its_last_put_appended() -> None:
    once = fresh(["1.1", "1.2"])
    twice = extended(once, fresh(["2.1"]))
    assert (elements_of(once), added_by(once)) == (("1.1", "1.2"), ("1.1", "1.2"))
    assert (elements_of(twice), added_by(twice)) == (("1.1", "1.2", "2.1"), ("2.1",))
    assert elements_of("") == ()


def planned() -> ScheduledOperation:
    request = Txn(
        (Compare("x", "mod", "=", 0), Compare("y", "mod", "=", 0)),
        (Range("y"), Put("x", fresh(["3.1"]))),
        (Range("x"), Range("y")),
    )
    return ScheduledOperation(
        0, "append", request, 0, expect_last_seen=(0, 1), append_to_seen=True
    )


def test_an_append_is_sent_after_a_read_of_its_keys() -> None:
    seen = LastSeen()
    look = seen.look(planned())
    assert look == Txn((), (Range("x"), Range("y")))
    found = TxnResult(Header(9), True, (RangeResult(kvs=(X,), count=1), RangeResult()))
    seen.observe(look, found)
    sent = seen.request(planned())
    assert isinstance(sent, Txn)
    assert sent.compare == (Compare("x", "mod", "=", 7), Compare("y", "mod", "=", 0))
    assert sent.success == (Range("y"), Put("x", "1.1 2.1 | 3.1"))
    assert LastSeen.look(ScheduledOperation(0, "get", Range("x"), 0)) is None


@pytest.mark.parametrize("kind", [AppendWorkload, WriteRead])
def test_transactions_put_each_key_once_and_each_value_once(
    kind: type[AppendWorkload] | type[WriteRead],
) -> None:
    values: list[str] = []
    drafts = kind(keys=3).operations(stream(5, "test"), 2)
    for _ in range(300):
        request = next(drafts).request
        assert isinstance(request, Txn)
        puts = [one for one in request.success if isinstance(one, Put)]
        assert len({put.key for put in puts}) == len(puts)
        values += [element for put in puts for element in added_by(put.value)]
        assert not any(isinstance(one, Put) for one in request.failure)
    assert len(values) == len(set(values)) > 100


def operation(f: str, request: Request, result: Result | None, place: int = 0) -> Operation:
    outcome: Outcome = "info" if result is None else "ok"
    return Operation(
        3, f, "n1", outcome, request, result, None, 2 * place, 2 * place + 1, 10, 20, 20
    )


def made(operations: list[Operation], lists: bool = True) -> list[Transaction]:
    return transactions_of(History((), tuple(operations), ()), lists)


APPEND = Txn((Compare("x", "mod", "=", 7),), (Range("x"), Put("x", "1.1 2.1 | 3.1")), (Range("x"),))


def test_after_a_successful_guard_reads_are_reads_and_puts_are_appends() -> None:
    seen = operation("look", Range("x"), RangeResult(Header(8), (X,), 1))
    done = TxnResult(Header(9), True, (RangeResult(kvs=(X,), count=1), PutResult()))
    look, append = made([seen, operation("append", APPEND, done, 1)])
    assert look.operations == (Read("x", ("1.1", "2.1")),)
    assert append.operations == (
        Read("x", ("1.1", "2.1")), Read("x", ("1.1", "2.1")), Append("x", "3.1"),
    )
    assert (append.invoked, append.returned, append.process) == (2, 3, 3)


def test_a_guard_that_failed_is_a_read_and_a_failed_append() -> None:
    refused = TxnResult(Header(9), False, (RangeResult(),))
    read, failed = made([operation("append", APPEND, refused)])
    assert (read.outcome, read.operations) == ("ok", (Read("x", ()),))
    assert (failed.outcome, failed.operations) == ("fail", (Append("x", "3.1"),))


def test_without_an_answer_an_append_is_uncertain() -> None:
    (one,) = made([operation("append", APPEND, None)])
    assert (one.outcome, one.operations, one.returned) == ("info", (Append("x", "3.1"),), None)


def test_an_interval_reads_each_key_that_was_ever_put() -> None:
    whole = operation("final_read", Range("a", "z"), RangeResult(Header(9), (X,), 1))
    _, read = made([operation("append", APPEND, None), whole])
    assert read.operations == (Read("x", ("1.1", "2.1")),)
    empty = operation("final_read", Range("a", "z"), RangeResult(Header(1)))
    assert made([operation("append", APPEND, None), empty])[1].operations == (Read("x", ()),)
    old = operation("read", Range("x", serializable=True), RangeResult(Header(1)))
    assert made([old]) == []


def test_registers_read_what_their_guard_compared() -> None:
    request = Txn(
        (Compare("x", "value", "=", "1.1"), Compare("y", "mod", "=", 0)),
        (Put("x", "2.1"), Put("y", "2.2")),
    )
    done = TxnResult(Header(9), True, (PutResult(), PutResult()))
    (one,) = made([operation("wr", request, done)], lists=False)
    assert one.operations == (
        Read("x", "1.1"), Read("y", None), Write("x", "2.1"), Write("y", "2.2"),
    )


def judged(*operations: Operation) -> tuple[bool | None, str]:
    verdict = check_history(Evidence(History((), operations, ())))
    return verdict.valid, verdict.why


def test_the_checker_reports_histories_to_which_it_does_not_apply() -> None:
    put = operation("put", Put("x", "1"), PutResult(Header(2)))
    assert judged(put) == (True, "not applicable: the history has no operation append or wr")
    delete = operation("delete", Delete("x"), DeleteResult(Header(2), 1), 1)
    assert "deletes" in judged(operation("wr", APPEND, None), delete)[1]
    both = judged(operation("wr", APPEND, None), operation("append", APPEND, None, 1))
    assert both[0] is None


@pytest.mark.parametrize("workload", ["append", "wr"])
def test_a_correct_store_passes(workload: str, tmp_path: Path) -> None:
    options = read_options({
        "system": "simulated", "workload": workload, "nodes": (3,), "clients": 6, "rate": 150.0,
        "time_limit_s": 4.0, "nemesis": ("partition",), "seed": 11, "store": str(tmp_path),
    })
    result = run_sync(options, report=False)
    assert result.valid is True, result.results
    verdict = next(one for one in result.results.verdicts if one.checker == "transactions")
    assert verdict.counts["rw"] > 100
    history = History.read(result.folder / "history.jsonl")
    assert any(op.f == LOOK for op in history.operations) == (workload == "append")


@pytest.mark.parametrize("workload", ["append", "wr"])
def test_comparisons_that_are_lost_are_found(workload: str, tmp_path: Path) -> None:
    """Runs in a separate process, because a planted bug cannot be removed."""
    code = (
        "import sys; from splitbrain.harness.schedule.options import read_options; "
        "from splitbrain.harness.runs.execute import run_sync;"
        f"r = run_sync(read_options({{'system': 'simulated', 'workload': {workload!r}, 'nodes': (3,"
        "), 'clients': 6, 'rate': 150.0, 'time_limit_s': 4.0, 'nemesis': (), 'seed': 12, "
        f"'mutant': 'compare_lost', 'store': {str(tmp_path)!r}}}), report=False);"
        "print([v.valid for v in r.results.verdicts if v.checker == 'transactions'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[False]"), done


def test_generated_transactions_are_judged_by_the_command(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for workload in ("append", "wr"):
        assert run_main(["generate", "--workload", workload, "--ops", "300", "-o", str(path)]) == 0
        assert run_main(["check", str(path)]) == 0
    corrupted = ("--corrupt", "write-skew", "-o", str(path))
    assert run_main(["generate", "--workload", "append", "--ops", "300", *corrupted]) == 0
    assert run_main(["check", str(path)]) == 1
    assert run_main(["check", str(path), "--model", "snapshot-isolation"]) == 0
    assert run_main(["generate", "--workload", "wr", *corrupted]) == 254
