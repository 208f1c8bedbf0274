"""Every workload for any store passes a correct store, and fails one with a planted bug."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from splitbrain.checkers.foreign.objects import check_queues
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.workloads.any_store.catalogue import (
    BUILT_IN,
    make_store_workload,
    store_workloads,
)
from splitbrain.histories.client_call import Call
from splitbrain.histories.formats.foreign_operation import ForeignOperation

HERE = "tests.unit.any_store.memory_store"
CLIENTS = {
    "register": "Registers", "cas-register": "Registers", "monotonic": "Registers", "set": "Sets",
    "counter": "Counters", "queue": "Queues", "unique-ids": "Ids", "lock": "Locks",
    "bank": "Bank", "list-append": "Transactions", "rw-register": "Transactions",
    "long-fork": "TwoSides",
}
FINDS = {
    "register": "linearizable", "cas-register": "linearizable", "monotonic": "sessions",
    "set": "set_full", "counter": "counter", "queue": "queue", "unique-ids": "unique_ids",
    "lock": "mutex", "bank": "bank", "list-append": "transactions",
    "rw-register": "transactions", "long-fork": "transactions",
}
"""Workload → the checker that finds the bug."""


def run(store: Path, workload: str, **options: Any) -> RunResult:
    chosen = {
        "system": f"{HERE}:MemorySystem", "client": f"{HERE}:{CLIENTS[workload]}",
        "workload": workload, "nemesis": [], "nodes": [3], "clients": 5, "rate": 1000.0,
        "time_limit_s": 0.3, "seed": 1, "store": str(store), **options,
    }
    return run_sync(read_options(chosen), report=False)


@pytest.mark.parametrize("workload", BUILT_IN)
def test_a_correct_store_is_valid(workload: str, tmp_path: Path) -> None:
    result = run(tmp_path, workload)
    assert (result.error, result.valid) == ("", True), result.results.verdicts


@pytest.mark.parametrize("workload", BUILT_IN)
def test_a_planted_bug_is_found_by_the_checker_of_the_workload(
    workload: str, tmp_path: Path
) -> None:
    result = run(tmp_path, workload, client_options={"bug": 1})
    invalid = [one.checker for one in result.results.verdicts if one.valid is False]
    assert (result.error, invalid) == ("", [FINDS[workload]])


def test_every_workload_has_a_client_and_is_listed() -> None:
    assert set(CLIENTS) == set(BUILT_IN) == set(FINDS)
    assert set(store_workloads()) >= set(BUILT_IN)


@pytest.mark.parametrize("workload", BUILT_IN)
def test_the_same_seed_draws_the_same_operations(workload: str) -> None:
    one, other = (make_store_workload(workload, {}) for _ in range(2))
    drawn = [list(islice(w.operations(Random(3), 2), 200)) for w in (one, other)]
    assert drawn[0] == drawn[1]
    assert {draft.f for draft in drawn[0]} <= set(one.functions)
    assert all(isinstance(draft.request, Call) for draft in drawn[0])


@pytest.mark.parametrize(("workload", "options"), [
    ("register", {"keys": 0}), ("set", {"reads_percent": 91}), ("queue", {"dequeues_percent": -1}),
    ("counter", {"reads_percent": 91}), ("bank", {"accounts": 1}), ("monotonic", {"keys": 0}),
    ("list-append", {"keys": 0}), ("list-append", {"consistency": "serialisable"}),
    ("lock", {"keys": 2}),
])
def test_an_impossible_option_is_refused(workload: str, options: dict[str, Any]) -> None:
    with pytest.raises(BadArguments):
        make_store_workload(workload, options)


def test_a_weaker_consistency_model_allows_the_anomaly(tmp_path: Path) -> None:
    options = {"consistency": "parallel-snapshot-isolation"}
    result = run(
        tmp_path, "long-fork", client_options={"bug": 1}, workload_options=options
    )
    assert result.valid is not False


def test_an_element_that_an_empty_queue_lacks_is_lost() -> None:
    def op(f: str, at: int, argument: Any, answer: Any) -> ForeignOperation:
        return ForeignOperation(
            process=0, f=f, key="", argument=argument, outcome="ok", answer=answer,
            call=at, ret=at + 1, ended=at + 1, call_ns=at, ended_ns=at + 1,
        )

    log = [op("enqueue", 0, 7, 7), op("enqueue", 2, 8, 8), op("dequeue", 4, None, 8)]
    assert check_queues([*log, op("dequeue", 6, None, 7), op("dequeue", 8, None, None)]).valid
    verdict = check_queues([*log, op("dequeue", 6, None, None)])
    assert (verdict.valid, dict(verdict.kinds)) == (False, {"lost": 1})
