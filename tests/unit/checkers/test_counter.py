"""The checker `counter` judges counters in runs, in other tools' histories, and in corrupt ones."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.foreign.models import check_log, model_of
from splitbrain.checkers.objects.counter import check_counter
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.event import Event
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import History
from splitbrain.histories.kv import (
    Compare,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)
from tests.unit.checkers.scripted_history import ScriptedHistory


def judge(script: ScriptedHistory) -> Verdict:
    return check_counter(Evidence(script.history()))


def step(met: int, amount: int = 1) -> Txn:
    target: Any = ("value", "=", str(met)) if met else ("version", "=", 0)
    return Txn((Compare("c", *target),), (Put("c", str(met + amount)),), (Range("c"),))


DONE = TxnResult(succeeded=True, responses=(PutResult(),))


def shows(number: int) -> RangeResult:
    return RangeResult(kvs=(KeyValue("c", str(number)),) if number else (), count=1)


def refused(number: int) -> TxnResult:
    return TxnResult(succeeded=False, responses=(shows(number),))


def counted(script: ScriptedHistory, met: int, amount: int = 1) -> None:
    script.did(step(met, amount), DONE, 2, f="increment")


def kinds(verdict: Verdict) -> list[str]:
    return [anomaly.kind for anomaly in verdict.anomalies]


def test_a_counter_that_counts_is_valid() -> None:
    script = ScriptedHistory()
    for met in range(4):
        counted(script, met)
        script.did(Range("c"), shows(met + 1), 2)
    script.did(step(1), refused(4), 2, f="increment")
    script.info(script.invoke(step(4), f="increment"))
    script.did(Range("c"), shows(5), 2)
    verdict = judge(script)
    assert verdict.valid is True
    assert verdict.counts == {
        "counters": 1, "increments": 6, "acknowledged": 4, "reads": 6, "anomalies": 0
    }


def test_an_uncertain_increment_counts_or_not() -> None:
    for shown, valid in ((1, True), (2, True), (3, False)):
        script = ScriptedHistory()
        counted(script, 0)
        script.info(script.invoke(step(1), f="increment"))
        script.did(Range("c"), shows(shown), 2)
        assert judge(script).valid is valid


def test_an_acknowledged_increment_that_later_reads_lack_is_lost() -> None:
    script = ScriptedHistory()
    counted(script, 0)
    counted(script, 1)
    script.did(Range("c"), shows(1), 2)
    verdict = judge(script)
    assert kinds(verdict) == ["lost"]
    assert "acknowledged before it sum to at least 2" in verdict.anomalies[0].because
    assert verdict.anomalies[0].events == (2, 3, 4, 5)


def test_a_read_while_an_increment_is_under_way_shows_either() -> None:
    for shown in (0, 1):
        script = ScriptedHistory()
        increment = script.invoke(step(0), f="increment")
        script.did(Range("c"), shows(shown), 2)
        script.ok(increment, DONE, 2)
        script.did(Range("c"), shows(1), 2)
        assert judge(script).valid is True


def test_a_read_that_shows_less_than_an_earlier_one_is_stale() -> None:
    script = ScriptedHistory()
    increment = script.invoke(step(0), f="increment")
    script.did(Range("c"), shows(1), 2)
    script.did(Range("c"), shows(0), 2)
    script.info(increment)
    assert kinds(judge(script)) == ["stale"]


def test_two_increments_of_the_same_number_are_duplicated() -> None:
    script = ScriptedHistory()
    counted(script, 0)
    counted(script, 0)
    script.did(Range("c"), shows(1), 2)
    assert kinds(judge(script)) == ["duplicated", "lost"]


def test_an_increment_that_failed_must_not_count() -> None:
    script = ScriptedHistory()
    script.fail(script.invoke(step(0), f="increment"))
    script.did(Range("c"), shows(1), 2)
    assert kinds(judge(script)) == ["unexpected"]


def test_an_increment_that_no_read_follows_is_undecided() -> None:
    script = ScriptedHistory()
    counted(script, 0)
    verdict = judge(script)
    assert verdict.valid is None
    assert verdict.why.startswith("never read: process 0's txn")


def test_a_counter_that_goes_down_is_judged_by_its_bounds() -> None:
    script = ScriptedHistory()
    counted(script, 0, 5)
    script.did(Range("c"), shows(5), 2)
    counted(script, 5, -2)
    script.did(Range("c"), shows(3), 2)
    assert judge(script).valid is True
    script.did(Range("c"), shows(4), 2)
    assert kinds(judge(script)) == ["unexpected"]


def test_increments_of_another_form_are_not_judged() -> None:
    script = ScriptedHistory()
    script.did(Put("c", "7"), PutResult(), 2, f="increment")
    assert judge(script).valid is None
    assert check_counter(Evidence(History((), (), ()))).why.startswith("not applicable")


def generated(seed: int, operations: int = 400, clients: int = 6) -> list[Event]:
    """Clients that read the number and try to raise it by one, some without an answer."""
    chance = Random(seed)
    script = ScriptedHistory()
    value, seen = 0, dict.fromkeys(range(clients), 0)
    waiting: dict[int, tuple[int, Any]] = {}
    for _ in range(operations):
        client = chance.randrange(clients)
        if client in waiting:
            process, asked = waiting.pop(client)
            answer: Any = shows(value)
            uncertain = chance.random() < 0.05
            if isinstance(asked, Txn) and (not uncertain or chance.random() < 0.5):
                if seen[client] == value:
                    value += 1
                    answer = DONE
                else:
                    answer = refused(value)
                seen[client] = value
            if uncertain:
                script.info(process)
            else:
                script.ok(process, answer, value + 1)
        else:
            if chance.random() < 0.5:
                seen[client] = value
                waiting[client] = (script.invoke(Range("c")), Range("c"))
            else:
                asked = step(seen[client])
                waiting[client] = (script.invoke(asked, f="increment"), asked)
    for process, _ in waiting.values():
        script.info(process)
    script.did(Range("c"), shows(value), 2)
    return script.events


@pytest.mark.parametrize("seed", range(8))
def test_generated_histories_are_valid_and_corrupt_ones_are_not(seed: int) -> None:
    events = generated(seed)
    assert check_counter(Evidence(History.of(events))).valid is True
    last = msgspec.json.decode(events[-1].value, type=RangeResult)
    right = int(last.kvs[0].value)
    for number, kind in ((right // 3, "lost"), (right + 5_000, "unexpected")):
        wrong = msgspec.json.encode(shows(number))
        corrupted = [*events[:-1], msgspec.structs.replace(events[-1], value=msgspec.Raw(wrong))]
        found = check_counter(Evidence(History.of(corrupted)))
        assert kinds(found) == [kind]


def logged(*rows: tuple[str, Any, Any, str]) -> list[ForeignOperation]:
    return [
        ForeignOperation(0, f, "", given, outcome, answer, 2 * n, 2 * n + 1, 2 * n + 1)  # type: ignore[arg-type]
        for n, (f, given, answer, outcome) in enumerate(rows)
    ]


def test_a_log_of_a_counter_is_judged() -> None:
    log = logged(("add", 3, 3, "ok"), ("read", None, 3, "ok"), ("add", 2, None, "fail"))
    assert model_of(log) == "counter"
    assert check_log([*log, replace_call(log[1], 6)]).valid is True
    verdict = check_log([*log, msgspec.structs.replace(replace_call(log[1], 6), answer=2)])
    assert kinds(verdict) == ["lost"]


def replace_call(op: ForeignOperation, call: int) -> ForeignOperation:
    return msgspec.structs.replace(op, call=call, ret=call + 1, ended=call + 1)
