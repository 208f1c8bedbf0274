"""Shrinking first tries schedules with only what the anomaly of the failing run shows."""

from __future__ import annotations

from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.shrinking.anomaly_reductions import (
    ended_after_anomaly,
    last_faults,
    operations_of_anomaly,
)
from splitbrain.harness.shrinking.failing_run import Failure
from splitbrain.histories.kv import Put, Range

SCHEDULE = parse_schedule("""
    seed 1
    members n1 n2 n3
    100 ms  client 0  put on n1  {"op":"put","key":"a","value":"0.1"}
    150 ms  kill n1 until 200 ms
    200 ms  client 1  put on n1  {"op":"put","key":"b","value":"1.1"}
    250 ms  kill n2 until 300 ms
    300 ms  client 2  get on n1  {"op":"range","key":"a"}
    350 ms  kill n3 until 400 ms
    400 ms  client 1  get on n1  {"op":"range","key":"a"}
    500 ms  client 0  get on n1  {"op":"range","key":"b"}
    600 ms  kill n1 until 700 ms
    lasts 900 ms
""")
FAILURE = Failure(at_ms=420, operations=frozenset((4,)))


def shown(schedule: Schedule) -> str:
    """The operations as text: `w` or `r`, and the key."""
    words = []
    for one in schedule.operations:
        request = one.operation.request
        assert isinstance(request, Put | Range)
        words.append(("w" if isinstance(request, Put) else "r") + request.key)
    return " ".join(words)


def test_the_load_ends_after_the_anomaly() -> None:
    (candidate,) = ended_after_anomaly(SCHEDULE, FAILURE)
    assert candidate.time_limit_ms == 520
    assert shown(candidate) == "wa wb ra ra rb"
    assert len(candidate.faults) == 3
    assert list(ended_after_anomaly(SCHEDULE, Failure(None, frozenset()))) == []
    assert list(ended_after_anomaly(SCHEDULE, Failure(850, frozenset()))) == []


def test_first_only_the_operations_of_the_anomaly_are_kept_then_more() -> None:
    assert [shown(one) for one in operations_of_anomaly(SCHEDULE, FAILURE)] == [
        "ra", "wa ra", "wa ra ra", "wb ra", "wa wb ra",
    ]
    assert list(operations_of_anomaly(SCHEDULE, Failure(420, frozenset()))) == []


def test_the_last_faults_before_the_anomaly_are_kept() -> None:
    candidates = [
        [one.begin_ms for one in candidate.faults] for candidate in last_faults(SCHEDULE, FAILURE)
    ]
    assert candidates == [[350], [250, 350]]
    assert list(last_faults(SCHEDULE, Failure(None, frozenset()))) == []
