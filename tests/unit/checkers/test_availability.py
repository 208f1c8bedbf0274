"""The checker `availability`: valid, invalid and undecided histories."""

from __future__ import annotations

import msgspec
import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.service_level.availability import check_availability
from splitbrain.checkers.service_level.rates import percentile
from splitbrain.checkers.service_level.statistics import check_statistics
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.event import NEMESIS, Event, FaultEvent
from splitbrain.histories.history import History
from splitbrain.histories.kv import Put, PutResult, Range, RangeResult

S = 1_000_000_000


class Run:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def fault(self, at_s: float, phase: str) -> None:
        value = msgspec.json.encode(FaultEvent(0, phase, ("n1",)))  # type: ignore[arg-type]
        self._add(at_s, NEMESIS, "info", "kill", value)

    def put(self, call_s: float, ret_s: float, outcome: str = "ok", node: str = "n1") -> None:
        process = len(self.events)
        self._add(call_s, process, "invoke", "put", msgspec.json.encode(Put("a")), node)
        value = msgspec.json.encode(PutResult()) if outcome == "ok" else b"null"
        self._add(ret_s, process, outcome, "put", value, node)

    def stale_get(self, call_s: float, ret_s: float) -> None:
        process = len(self.events)
        asked = msgspec.json.encode(Range("a", serializable=True))
        self._add(call_s, process, "invoke", "get", asked)
        self._add(ret_s, process, "ok", "get", msgspec.json.encode(RangeResult()))

    def _add(
        self, at_s: float, process: object, kind: str, f: str, value: bytes, node: str = "n1"
    ) -> None:
        self.events.append(
            Event(len(self.events), int(at_s * S), process, kind, f, msgspec.Raw(value), node)  # type: ignore[arg-type]
        )

    def judge(self, bound_ms: int = 2000) -> Verdict:
        return check_availability(
            Evidence(History.of(self.events), availability_bound_ms=bound_ms)
        )


def healed_at(end_s: float) -> Run:
    run = Run()
    run.put(0.1, 0.2)
    run.fault(1.0, "begin")
    run.fault(1.1, "began")
    run.put(1.2, 1.9, "info")
    run.fault(end_s - 0.1, "end")
    run.fault(end_s, "ended")
    return run


def test_an_answer_within_the_bound_is_enough() -> None:
    run = healed_at(3.0)
    run.put(3.1, 4.5, node="n2")
    verdict = run.judge()
    assert verdict.valid is True
    assert verdict.counts["recovered after ms"] == 1500.0
    assert verdict.counts["members answered after ms"] == {"n2": 1500.0}
    assert verdict.counts["during"]["kill"] == {"ok": 0, "fail": 0, "info": 1}
    assert verdict.counts["during"]["no fault"] == {"ok": 2, "fail": 0, "info": 0}


def test_an_answer_that_comes_late_is_too_late() -> None:
    run = healed_at(3.0)
    run.put(3.1, 5.5)
    verdict = run.judge()
    assert verdict.valid is False
    assert "healed at 3.000 s" in verdict.anomalies[0].because


def test_no_answer_until_the_bound_is_over_is_unavailable() -> None:
    run = healed_at(3.0)
    run.put(3.1, 9.0, "info")
    assert run.judge().valid is False


def test_a_history_that_ends_within_the_bound_is_undecided() -> None:
    run = healed_at(3.0)
    run.put(3.1, 3.5, "fail")
    assert run.judge().valid is None
    assert healed_at(3.0).judge().valid is None


def test_without_pending_operations_a_late_answer_is_undecided() -> None:
    run = healed_at(3.0)
    run.put(3.1, 3.5, "fail")
    run.put(30.0, 30.1)
    verdict = run.judge()
    assert verdict.valid is None
    assert verdict.why == (
        "no operation was pending from 5.000 s, 2 s after the last fault was healed, to 30.000 s"
    )


@pytest.mark.parametrize(
    ("call_s", "ret_s", "outcome"),
    [(4.9, 5.1, "fail"), (3.1, 5.1, "info"), (8.0, 8.1, "fail"), (4.0, 40.0, "ok")],
)
def test_an_unanswered_operation_after_the_bound_shows_unavailability(
    call_s: float, ret_s: float, outcome: str
) -> None:
    run = healed_at(3.0)
    run.put(call_s, ret_s, outcome)
    run.put(30.0, 30.1)
    run.events.sort(key=lambda event: event.time)
    assert run.judge().valid is False


def test_a_failure_after_the_first_answer_shows_no_unavailability() -> None:
    run = healed_at(3.0)
    run.put(30.0, 30.1)
    run.put(31.0, 31.1, "fail")
    assert run.judge().valid is None


def test_a_serializable_read_is_not_the_cluster_s_answer() -> None:
    run = healed_at(3.0)
    run.stale_get(3.1, 3.2)
    run.put(3.1, 9.0, "info")
    assert run.judge().valid is False


def test_a_fault_that_was_never_healed_leaves_it_undecided() -> None:
    run = Run()
    run.put(0.1, 0.2)
    run.fault(1.0, "begin")
    verdict = run.judge()
    assert verdict.valid is None
    assert "never healed: kill" in verdict.why


def test_an_empty_history_is_undecided() -> None:
    assert Run().judge().valid is None


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([5], 50, 5), ([1, 2, 3, 4], 50, 2), ([1, 2, 3, 4], 99, 4), (list(range(1, 101)), 95, 95)],
)
def test_percentiles_are_by_nearest_rank(values: list[int], percent: float, expected: int) -> None:
    assert percentile(values, percent) == expected


def test_latencies_are_counted_by_function_and_outcome() -> None:
    run = healed_at(3.0)
    run.put(3.1, 3.2)
    counts = check_statistics(Evidence(History.of(run.events))).counts
    assert counts["put ok"]["count"] == 2
    assert counts["put ok"]["p50 ms"] == pytest.approx(100)
    assert counts["put info"]["max ms"] == pytest.approx(700)
