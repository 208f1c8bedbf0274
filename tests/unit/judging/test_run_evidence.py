"""A run without evidence is unknown, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import msgspec
import pytest

from splitbrain.checkers.catalogue import CHECKERS
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.foreign.models import MODELS
from splitbrain.checkers.transactions import check_transactions
from splitbrain.checkers.verdict import Verdict, not_applicable
from splitbrain.harness.judging.judge import judge
from splitbrain.harness.judging.missing_evidence import missing_evidence, unanswered
from splitbrain.harness.mutants.catalogue import names
from splitbrain.harness.mutants.reach import why_out_of_reach
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.testing.plugin import failure_text
from splitbrain.harness.workloads.catalogue import BUILT_IN
from splitbrain.harness.workloads.workload import Draft
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import History, Operation, Outcome
from splitbrain.histories.kv import Compact, Header, Put, PutResult, Range, Request
from splitbrain.histories.transaction import Read, Transaction

FAKE = "tests.unit.fake_store:FakeSystem"
NOTHING = not_applicable("watch", "the run has no watchers")


def history(*rows: tuple[str, Outcome, int], first: int = 0) -> History:
    """Operations (f, outcome, how many in turn) on n1 from number `first` on; the functions
    alternate."""
    count = max(number for _, _, number in rows)
    drawn = [(f, outcome) for turn in range(count) for f, outcome, n in rows if turn < n]
    return History((), tuple(
        Operation(
            0, f, "n1", outcome, Put(f, "1"), PutResult(Header(2)) if outcome == "ok" else None,
            None, 2 * at, 2 * at + 1, at * 10, at * 10 + 5, at * 10 + 5,
        )
        for at, (f, outcome) in enumerate(drawn, first)
    ), ())


@pytest.mark.parametrize(("verdicts", "why"), [
    ((), "no checker judged the answers of the store"),
    ((NOTHING,), "no checker had anything to judge (watch: the run has no watchers)"),
    ((Verdict("statistics", True), Verdict("availability", True)),
     "no checker judged the answers of the store, only statistics and availability"),
    ((NOTHING, Verdict("statistics", True)),
     "no checker had anything to judge (watch: the run has no watchers)"),
])
def test_without_a_checker_that_judges_answers_a_run_is_unknown(
    verdicts: tuple[Verdict, ...], why: str
) -> None:
    found = missing_evidence(verdicts, history(("put", "ok", 1)), ())
    assert found is not None
    assert (found.checker, found.valid, found.why) == ("evidence", None, why)


@pytest.mark.parametrize(("rows", "why"), [
    ([("put", "ok", 20)], ""),
    ([("put", "ok", 1)], ""),
    ([("put", "fail", 3), ("get", "info", 2)], "no operation succeeded: 0 of 5 ok"),
    ([("put", "ok", 30), ("cas", "fail", 25)],
     "cas: 0 of 25 ok; if that is right, accept it with --allow-unanswered cas"),
    ([("put", "ok", 30), ("cas", "info", 10)],
     "cas: 0 of 10 ok; if that is right, accept it with --allow-unanswered cas"),
    ([("put", "ok", 30), ("cas", "fail", 9)], ""),
    ([("put", "fail", 5), ("final_write", "ok", 3)], "no operation succeeded: 0 of 5 ok"),
    ([("put", "fail", 5), ("final_write", "ok", 3), ("final_read", "ok", 3)], ""),
    ([("final_write", "ok", 3)], "there is no operation"),
    ([("put", "ok", 30), ("revoke", "fail", 25)], ""),
    ([("put", "ok", 30), ("final_write", "fail", 25)], ""),
])
def test_a_function_that_never_succeeds_makes_a_run_unknown(
    rows: list[tuple[str, Outcome, int]], why: str
) -> None:
    found = missing_evidence((Verdict("mvcc", True),), history(*rows), ("revoke",))
    assert (found.why if found else "") == why


def test_a_function_that_fails_while_its_member_answers_nothing_is_excused() -> None:
    down = history(("cas", "fail", 20), ("put", "fail", 20))
    up = history(("put", "ok", 20), first=100)
    both = History((), (*down.operations, *up.operations), ())
    assert unanswered(both) == {}


def test_a_history_without_operations_is_unknown() -> None:
    found = missing_evidence((Verdict("mvcc", True),), History.of(()), ())
    assert found is not None
    assert found.why == "there is no operation"


def empty() -> list[History]:
    """Histories in which nothing succeeded."""
    asked: list[Request] = [Put("k", "1"), Range("k")]
    return [History.of(()), *(
        History((), tuple(
            Operation(at, f, "n1", "fail", request, None, "refused", 2 * at, 2 * at + 1, at, at, at)
            for at, request in enumerate(asked)
        ), ())
        for f in ("put", "add", "increment", "enqueue", "generate", "append", "wr")
    )]


@pytest.mark.parametrize("name", [one for one in CHECKERS if one not in ("statistics", "budget")])
def test_no_checker_calls_a_history_valid_in_which_nothing_succeeded(name: str) -> None:
    for one in empty():
        verdict = CHECKERS[name](Evidence(one))
        assert verdict.valid is None or not verdict.applies, verdict
        assert verdict.why


@pytest.mark.parametrize("name", MODELS)
def test_no_checker_calls_a_foreign_log_valid_in_which_nothing_succeeded(name: str) -> None:
    model = MODELS[name]
    failed = [
        ForeignOperation(
            at, f, "x", [1, 2] if f == "cas" else 1, "fail", None, 2 * at, 2 * at + 1, 2 * at + 1,
            at, at, "refused", None,
        )
        for at, f in enumerate(sorted(model.functions))
    ]
    for checker in model.checkers.values():
        for log in ([], failed):
            verdict = checker(log, None)
            assert verdict.valid is None or not verdict.applies, verdict
            assert missing_evidence((verdict,)) is not None or verdict.valid is None


def test_transactions_that_all_failed_are_not_valid() -> None:
    failed = Transaction(0, "fail", (Read("x", None),), 0, 1)
    assert check_transactions([failed]).valid is None


class Refused:
    """Puts that succeed, and compactions, which the fake store does not serve."""

    name: ClassVar[str] = "refused"
    description: ClassVar[str] = "puts and compactions"
    checkers: ClassVar[tuple[str, ...]] = ("mvcc",)

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        for count in range(10**6):
            yield Draft("put", Put(f"k{count % 3}", f"{client}.{count}"))
            yield Draft("compact", Compact(1))

    def final_operations(self, clients: int) -> tuple[Draft, ...]:
        return (Draft("final_read", Range("k", "l")),)


def test_the_message_of_a_run_names_the_function_and_the_option(tmp_path: Path) -> None:
    given = Options(
        system=FAKE, workload=f"{__name__}:Refused", nemesis=(), nodes=(1,), seed=3,
        time_limit_s=0.5, store=str(tmp_path / "store"),
    )
    result = run_sync(given, report=False)
    assert (result.valid, result.exit_code) == (None, 2)
    text = failure_text(result)
    assert "evidence: unknown: compact: 0 of " in text
    assert "accept it with --allow-unanswered compact" in text
    tries = result.results.operations["compact"]
    assert f"\n  compact      0 ok, {tries['fail']} fail, {tries['info']} info\n" in text
    again = judge(RunFolder(result.folder)).results.verdicts
    assert [one.checker for one in again] == ["mvcc", "evidence"], "it is judged anew"
    allowed = msgspec.structs.replace(given, allow_unanswered=("compact",))
    assert run_sync(allowed, report=False).valid is True


@pytest.mark.parametrize("workload", BUILT_IN.values(), ids=BUILT_IN)
def test_the_functions_that_may_always_fail_are_functions_of_the_workload(workload: Any) -> None:
    made = workload()
    drawn = {
        next_one.f
        for client in range(3)
        for next_one, _ in zip(made.operations(Random(client), client), range(1000), strict=False)
    }
    assert set(getattr(made, "may_always_fail", ())) < drawn


def test_every_mutant_outside_the_runs_of_processes_is_sent_to_simulation() -> None:
    for name in names():
        why = why_out_of_reach(name, "register", ("kill", "pause", "partition"))
        assert not why or "splitbrain hunt" in why or "splitbrain run --mutant" in why


@pytest.mark.parametrize(("name", "workload", "nemesis", "said"), [
    ("wal_not_synced", "kv", ("kill",), ""),
    ("wal_not_synced", "kv", ("kill", "pause"), ""),
    ("wal_not_synced", "kv", ("pause",), "faults of the kind kill"),
    ("wal_not_synced", "set", (), "the workload kv, not set and faults of the kind kill"),
    ("half_is_a_majority", "kv", ("kill",), "splitbrain hunt --mutant half_is_a_majority"),
])
def test_a_run_says_what_a_mutant_needs(
    name: str, workload: str, nemesis: tuple[str, ...], said: str
) -> None:
    why = why_out_of_reach(name, workload, nemesis)
    assert (said in why) if said else why == ""
