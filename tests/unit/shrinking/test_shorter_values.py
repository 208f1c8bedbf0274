"""Shrinking makes long values short. Equal values stay equal, different ones different."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.shrinking.shorter_values import SHORT_CHARACTERS, shorter_values
from splitbrain.histories.kv import Put, Txn

LONG = "7.1" + "~" * 500
OTHER = "7.1" + "~" * 400 + "x"


def schedule_of(*values: str) -> Schedule:
    puts = "\n".join(
        f'{at} ms  client 0  put on n1  {{"op":"put","key":"a","value":"{value}"}}'
        for at, value in enumerate(values)
    )
    compared = f'{{"op":"txn","compare":[{{"key":"a","target":"value","result":"=",'\
        f'"operand":"{values[0]}"}}],"success":[{{"op":"put","key":"b","value":"s"}}]}}'
    return parse_schedule(
        f"seed 1\nmembers n1\n{puts}\n99 ms  client 0  txn on n1  {compared}\nlasts 200 ms"
    )


def values_of(schedule: Schedule) -> list[str]:
    found = []
    for one in schedule.operations:
        request = one.operation.request
        if isinstance(request, Put):
            found.append(request.value)
        if isinstance(request, Txn):
            found.append(str(request.compare[0].operand))
    return found


def test_a_compared_value_stays_the_value_that_is_written() -> None:
    candidates = list(shorter_values(schedule_of(LONG, "7.2", OTHER)))
    first, second, third, compared = values_of(candidates[0])
    assert first == compared
    assert LONG.startswith(first)
    assert len(first) <= SHORT_CHARACTERS + 1
    assert second == "7.2"
    assert third != first
    assert OTHER.startswith(third)
    assert sorted(values_of(one).count(LONG) for one in candidates) == [0, 0, 2]


def test_short_values_give_no_candidate() -> None:
    assert list(shorter_values(schedule_of("7.1", "7.2"))) == []


@given(st.lists(st.text("ab", max_size=40), min_size=1, unique=True))
def test_different_values_stay_different(values: list[str]) -> None:
    for candidate in shorter_values(schedule_of(*values)):
        renamed = values_of(candidate)[: len(values)]
        assert len(set(renamed)) == len(values)
        assert sum(map(len, renamed)) < sum(map(len, values))
