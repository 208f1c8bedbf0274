"""The checker `availability` judges when members answer: valid, invalid or undecided."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.service_level.availability import check_availability
from splitbrain.checkers.service_level.rates import percentile
from splitbrain.checkers.service_level.statistics import check_statistics
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.event import NEMESIS, Event, FaultEvent
from splitbrain.histories.history import History
from splitbrain.histories.kv import Put, PutResult, Range, RangeResult, Request, Result

S = 1_000_000_000


class Run:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def fault(self, at_s: float, phase: str) -> None:
        value = msgspec.json.encode(FaultEvent(0, phase, ("n1",)))  # type: ignore[arg-type]
        self._add(at_s, NEMESIS, "info", "kill", value)

    def put(
        self, call_s: float, ret_s: float, outcome: str = "ok", node: str = "n1", error: str = ""
    ) -> None:
        self._operation("put", Put("a"), PutResult(), call_s, ret_s, outcome, node, error)

    def get(
        self, call_s: float, ret_s: float, outcome: str = "ok", node: str = "n1", error: str = ""
    ) -> None:
        self._operation("get", Range("a"), RangeResult(), call_s, ret_s, outcome, node, error)

    def _operation(
        self, f: str, request: Request, result: Result, call_s: float, ret_s: float, outcome: str,
        node: str, error: str,
    ) -> None:
        process = len(self.events)
        self._add(call_s, process, "invoke", f, msgspec.json.encode(request), node)
        value = msgspec.json.encode(result) if outcome == "ok" else b"null"
        self._add(ret_s, process, outcome, f, value, node, error if outcome != "ok" else "")

    def stale_get(self, call_s: float, ret_s: float) -> None:
        process = len(self.events)
        asked = msgspec.json.encode(Range("a", serializable=True))
        self._add(call_s, process, "invoke", "get", asked)
        self._add(ret_s, process, "ok", "get", msgspec.json.encode(RangeResult()))

    def _add(
        self, at_s: float, process: object, kind: str, f: str, value: bytes, node: str = "n1",
        error: str = "",
    ) -> None:
        self.events.append(
            Event(len(self.events), round(at_s * S), process, kind, f, msgspec.Raw(value), node,  # type: ignore[arg-type]
                  error or None)
        )

    def judge(
        self, bound_ms: int = 2000, serving: Sequence[str] = (),
        stalls: Sequence[tuple[int, int]] = (),
    ) -> Verdict:
        return check_availability(Evidence(
            History.of(self.events), availability_bound_ms=bound_ms, serving=tuple(serving),
            stalls=stalls,
        ))


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
    assert "healed at 3.000 s" in verdict.anomalies[-1].because


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
        "no operation was pending from 5.000 s, 2 s after the last fault was healed, until shortly "
        "before the answer at 30.100 s"
    )


def test_a_refusal_just_before_a_late_first_answer_is_no_unavailability() -> None:
    run = healed_at(3.0)
    run.put(29.99, 29.991, "fail")
    run.put(30.0, 30.1)
    assert run.judge().valid is None


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


def test_a_fault_that_was_never_healed_leaves_the_verdict_undecided() -> None:
    run = Run()
    run.put(0.1, 0.2)
    run.fault(1.0, "begin")
    verdict = run.judge()
    assert verdict.valid is None
    assert "never healed: kill" in verdict.why


def test_an_empty_history_is_undecided() -> None:
    assert Run().judge().valid is None

# --- every member, every kind of operation ---------------------------------------------------

MEMBERS = ("n1", "n2", "n3")


def served_at_the_end(run: Run, at_s: float, members: Sequence[str] = MEMBERS) -> None:
    for member in members:
        run.put(at_s, at_s + 0.01, node=member)
        run.get(at_s + 0.02, at_s + 0.03, node=member)


def test_a_write_and_a_read_through_every_member_after_the_last_fault_are_enough() -> None:
    run = healed_at(3.0)
    served_at_the_end(run, 3.2)
    assert run.judge(serving=MEMBERS).valid is True


@pytest.mark.parametrize("missing", ["write", "linearizable read"])
def test_a_member_that_was_not_asked_at_the_end_leaves_the_verdict_undecided(missing: str) -> None:
    run = healed_at(3.0)
    served_at_the_end(run, 3.2, MEMBERS[:2])
    if missing == "write":
        run.get(3.3, 3.4, node="n3")
    else:
        run.put(3.3, 3.4, node="n3")
    verdict = run.judge(serving=MEMBERS)
    assert verdict.valid is None
    assert verdict.why == f"no {missing} through n3 was tried after 3.000 s"


def test_a_stale_read_and_a_refusal_are_no_answer_at_the_end() -> None:
    run = healed_at(3.0)
    served_at_the_end(run, 3.2, MEMBERS[:2])
    run.put(3.2, 3.3, node="n3")
    run.get(3.3, 3.4, "fail", "n3", "400 etcdserver: mvcc: required revision has been compacted")
    verdict = run.judge(serving=MEMBERS)
    assert verdict.valid is None
    assert "no linearizable read through n3 succeeded after 3.000 s" in verdict.why


def test_a_member_that_serves_reads_only_is_unavailable() -> None:
    run = healed_at(3.0)
    served_at_the_end(run, 3.2, MEMBERS[:2])
    for number in range(6):
        run.put(3.5 + number, 3.6 + number, "fail", "n3", "503 etcdserver: no leader")
        run.get(3.7 + number, 3.8 + number, node="n3")
    verdict = run.judge(serving=MEMBERS)
    (anomaly,) = verdict.anomalies
    assert anomaly.members == ("n3",)
    assert anomaly.because == (
        "no write through n3 was answered from 3.500 s to 8.600 s, while no fault was in force; "
        "the bound is 2 s. 6 of 6 attempts failed: 503 etcdserver: no leader (6 times)"
    )


def test_writes_that_end_in_a_run_without_faults_are_unavailable() -> None:
    full = "429 etcdserver: mvcc: database space exceeded"
    run = Run()
    for tenth in range(100):
        run.put(tenth / 10, tenth / 10 + 0.01, "ok" if tenth < 50 else "info", error=full)
        run.get(tenth / 10 + 0.05, tenth / 10 + 0.06)
    verdict = run.judge(serving=("n1",))
    (anomaly,) = verdict.anomalies
    assert "no write through n1 was answered from 5.000 s to 9.910 s" in anomaly.because
    assert f"{full} (50 times)" in anomaly.because


def test_writes_that_end_for_less_than_the_bound_leave_the_verdict_undecided() -> None:
    run = Run()
    for tenth in range(60):
        run.put(tenth / 10, tenth / 10 + 0.01, "ok" if tenth < 50 else "info", error="full")
        run.get(tenth / 10 + 0.05, tenth / 10 + 0.06)
    verdict = run.judge(serving=("n1",))
    assert verdict.valid is None
    assert verdict.why == (
        "the last write through n1 failed (full (1 time)), for less than the bound"
    )


def test_time_without_attempts_is_no_silence() -> None:
    run = Run()
    served_at_the_end(run, 0.5, ("n1",))
    run.put(20.0, 20.1, "fail", error="503 etcdserver: no leader")
    served_at_the_end(run, 20.5, ("n1",))
    assert run.judge(serving=("n1",)).valid is True


def test_failures_with_idle_time_between_them_are_no_silence() -> None:
    run = Run()
    served_at_the_end(run, 0.5, ("n1",))
    for second in range(2, 20, 2):
        run.put(second, second + 0.1, "fail", error="503 etcdserver: no leader")
    served_at_the_end(run, 20.5, ("n1",))
    assert run.judge(serving=("n1",)).valid is True


def test_an_answer_to_a_late_first_request_is_not_late() -> None:
    run = healed_at(3.0)
    run.put(4.999, 5.001)
    assert run.judge().valid is None


def test_a_silence_that_a_fault_may_explain_is_not_reported() -> None:
    run = Run()
    run.put(0.1, 0.2)
    run.fault(1.0, "begin")
    for second in range(1, 9):
        run.put(second + 0.1, second + 0.2, "fail", error="503 etcdserver: no leader")
    run.fault(9.0, "ended")
    served_at_the_end(run, 9.5, ("n1",))
    assert run.judge(serving=("n1",)).valid is True


def test_one_request_that_is_pending_for_longer_than_the_bound_is_a_silence() -> None:
    run = Run()
    run.put(0.1, 5.0)
    (anomaly,) = run.judge().anomalies
    assert "from 0.100 s to 5.000 s" in anomaly.because
    assert "0 of 1 attempts failed" in anomaly.because


def test_a_stall_of_the_harness_does_not_count_against_the_store() -> None:
    run = Run()
    run.put(0.1, 5.0)
    assert run.judge(stalls=[(1 * S, 4 * S)]).valid is True
    assert run.judge(stalls=[(1 * S, 2 * S), (9 * S, 20 * S)]).valid is False


def test_an_attempt_that_its_client_gives_up_soon_shows_nothing() -> None:
    run = Run()
    run.put(0.1, 0.2)
    for second in range(1, 9):
        run.put(second, second + 0.1, "info", error="timed out")
    run.put(10, 10.1)
    assert run.judge().valid is True


def requests(every: int, outcome: str, slow_s: float = 0.0) -> Run:
    """20 s of 40 writes a second; each `every`-th has `outcome` or takes `slow_s`."""
    run = Run()
    for number in range(800):
        bad = number % every == 0
        at_s = number / 40
        run.put(at_s, at_s + (slow_s if bad and slow_s else 0.01), outcome if bad else "ok",
                error="503 etcdserver: leader changed")
    run.events.sort(key=lambda event: event.time)
    return run


def test_every_fifth_request_may_not_fail() -> None:
    (anomaly,) = requests(5, "info").judge(10_000).anomalies
    assert anomaly.kind == "poor service"
    assert "160 of 800 attempts of a write through n1 failed" in anomaly.because
    assert "503 etcdserver: leader changed (160 times)" in anomaly.because


def test_every_fifth_request_may_not_take_seconds() -> None:
    (anomaly,) = requests(5, "ok", slow_s=2.5).judge(10_000).anomalies
    assert "160 took longer than 2 s (the slowest 2.500 s)" in anomaly.because


def test_a_few_failures_and_one_bad_second_are_not_poor_service() -> None:
    assert requests(20, "info").judge(10_000).valid is True
    run = Run()
    for number in range(800):
        at_s = number / 40
        run.put(at_s, at_s + 0.01, "info" if 5 < at_s < 9 else "ok", error="503 no leader")
    assert run.judge(10_000).valid is True


def test_poor_service_is_not_judged_while_the_harness_is_stalled_or_a_fault_is_near() -> None:
    run = requests(5, "info")
    assert run.judge(10_000, stalls=[(1 * S, 19 * S)]).valid is True
    faulty = requests(5, "info")
    faulty.fault(0.0, "begin")
    faulty.fault(10.0, "ended")
    faulty.events.sort(key=lambda event: event.time)
    assert faulty.judge(10_000).valid is True


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
