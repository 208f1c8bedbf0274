"""The checker `budget`: limits as text, and histories that keep or exceed them."""

from __future__ import annotations

import pytest

from splitbrain.checkers.budget_limits import Limit, read_limits
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.service_level.budget import check_budget
from splitbrain.checkers.service_level.rates import recoveries
from splitbrain.checkers.service_level.statistics import check_statistics
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.history import FaultWindow, History, Operation
from splitbrain.histories.kv import Header, Put, PutResult

MS = 1_000_000


def op(at_ms: int, took_ms: int, outcome: str = "ok", f: str = "put") -> Operation:
    answered = PutResult(Header(revision=2)) if outcome == "ok" else None
    end = (at_ms + took_ms) * MS
    return Operation(
        1, f, "n1", outcome, Put("k", "v"), answered, None, at_ms, at_ms + took_ms, at_ms * MS,  # type: ignore[arg-type]
        None if outcome == "info" else end, end,
    )


def judged(text: str, *ops: Operation, faults: tuple[FaultWindow, ...] = ()) -> Verdict:
    return check_budget(Evidence(History((), ops, faults), budget=read_limits(text)))


def fault(f: str, begin_ms: int, end_ms: int | None) -> FaultWindow:
    return FaultWindow(begin_ms, f, ("n1",), begin_ms * MS, None if end_ms is None else end_ms * MS)


@pytest.mark.parametrize(("text", "limit"), [
    ("p99=200ms", Limit("p99", "", 200 * MS)),
    ("p99.9=1.5s", Limit("p99.9", "", 1500 * MS)),
    ("p99.9.get=250us", Limit("p99.9", "get", 250_000)),
    ("p50.put = 3 ms", Limit("p50", "put", 3 * MS)),
    ("max=1min", Limit("max", "", 60_000 * MS)),
    ("availability=99.5%", Limit("availability", "", 0.995)),
    ("availability.kill=0.5", Limit("availability", "kill", 0.5)),
    ("recovery=5s", Limit("recovery", "", 5000 * MS)),
])
def test_a_limit_is_read(text: str, limit: Limit) -> None:
    assert read_limits(text) == (limit,)


@pytest.mark.parametrize("text", [
    "p99", "p99=200", "p100=1s", "availability=101%", "availability=2", "recovery.kill=1s",
    "speed=3ms", "p99=-1ms", "=1s",
])
def test_a_text_that_is_not_a_limit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_limits(text)


def test_without_a_budget_there_is_nothing_to_judge() -> None:
    verdict = judged("", op(0, 500))
    assert verdict.valid
    assert not verdict.applies


def test_latencies_are_those_of_answered_operations() -> None:
    ops = [op(at, 10) for at in range(98)] + [op(100, 300), op(200, 400), op(300, 9999, "info")]
    assert judged("p50=10ms,p98=10ms", *ops).valid
    over = judged("p99=299ms", *ops)
    assert over.valid is False
    assert "p99 is 300 ms, over the budget of 299 ms" in over.anomalies[0].because
    assert 600 in over.anomalies[0].events


def test_a_limit_can_be_for_one_function() -> None:
    ops = [op(0, 10, f="get"), op(1, 500, f="put")]
    assert judged("max.get=20ms", *ops).valid
    assert judged("max.put=20ms", *ops).valid is False
    assert judged("max.delete=20ms", *ops).valid is None


def test_availability_is_the_share_that_was_answered() -> None:
    ops = [op(0, 1), op(1, 1), op(2, 1, "fail"), op(3, 1, "info")]
    assert judged("availability=50%", *ops).valid
    under = judged("availability=51%", *ops)
    assert under.valid is False
    assert "2 of 4 operations were not answered" in under.anomalies[0].because


def test_availability_under_a_fault_counts_the_operations_invoked_during_it() -> None:
    ops = [op(0, 1), op(10, 1, "fail"), op(11, 1), op(30, 1)]
    faults = (fault("kill", 9, 20),)
    assert judged("availability.kill=50%", *ops, faults=faults).valid
    assert judged("availability.kill=51%", *ops, faults=faults).valid is False
    assert judged("availability.pause=1%", *ops, faults=faults).valid is None


def test_recovery_is_measured_each_time_that_all_faults_are_healed() -> None:
    ops = [op(0, 1), op(5, 20), op(40, 1), op(60, 45), op(110, 1)]
    faults = (fault("kill", 2, 10), fault("pause", 8, 20), fault("kill", 50, 70))
    history = History((), tuple(ops), faults)
    assert [r.took_ns // MS for r in recoveries(history)] == [5, 35]
    assert judged("recovery=35ms", *ops, faults=faults).valid
    assert judged("recovery=34ms", *ops, faults=faults).valid is False


def test_without_an_answer_after_the_healing_the_recovery_is_over_budget() -> None:
    ops = [op(0, 1), op(30, 500, "info")]
    over = judged("recovery=400ms", *ops, faults=(fault("kill", 2, 10),))
    assert over.valid is False
    assert "no answer came by" in over.anomalies[0].because
    assert judged("recovery=1ms", *ops).valid is None


def test_statistics_count_latencies_and_shares_during_faults() -> None:
    ops = [op(0, 1), op(10, 4, "fail"), op(11, 7), op(30, 1)]
    history = History((), tuple(ops), (fault("kill", 9, 20),))
    counts = check_statistics(Evidence(history)).counts
    assert counts["while kill"] == {"asked": 2, "answered %": 50.0, "p50 ms": 7.0, "p99 ms": 7.0}
    assert counts["while no fault"]["asked"] == 2
    assert counts["recovered after ms"] == {"times": 1, "least": 11.0, "most": 11.0}
