"""The checker `queue` judges queues of keys, other tools' histories and corrupt histories."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.foreign.models import check_log, model_of
from splitbrain.checkers.objects.queue import check_queue
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.event import Event
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import History
from splitbrain.histories.kv import (
    Delete,
    DeleteResult,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
)
from tests.unit.checkers.scripted_history import ScriptedHistory

ALL = Range("q/", "q0")


def judge(script: ScriptedHistory) -> Verdict:
    return check_queue(Evidence(script.history()))


def kinds(verdict: Verdict) -> list[str]:
    return [anomaly.kind for anomaly in verdict.anomalies]


def shows(*keys: str) -> RangeResult:
    return RangeResult(kvs=tuple(KeyValue(key) for key in keys), count=len(keys))


def put(script: ScriptedHistory, *keys: str) -> None:
    for key in keys:
        script.did(Put(key), PutResult(), 2, f="enqueue")


def take(script: ScriptedHistory, key: str, deleted: int = 1) -> None:
    script.did(Delete(key), DeleteResult(deleted=deleted), 3, f="dequeue")


def test_a_queue_whose_elements_come_out_once_is_valid() -> None:
    script = ScriptedHistory()
    put(script, "q/1", "q/2", "q/3")
    script.info(script.invoke(Put("q/4"), f="enqueue"))
    take(script, "q/1")
    take(script, "q/1", deleted=0)
    take(script, "q/4")
    script.did(ALL, shows("q/2", "q/3"), 3)
    verdict = judge(script)
    assert verdict.valid is True
    assert verdict.counts == {
        "attempts": 4, "acknowledged": 3, "taken out": 2, "recovered": 1, "left": 2, "reads": 1,
        "never read": 0, "anomalies": 0,
    }


def test_an_element_that_was_not_taken_and_a_later_read_lacks_is_lost() -> None:
    script = ScriptedHistory()
    put(script, "q/1", "q/2")
    script.did(ALL, shows("q/1"), 3)
    verdict = judge(script)
    assert kinds(verdict) == ["lost"]
    assert "q/2, put in by process 1's put q/2" in verdict.anomalies[0].because


def test_a_dequeue_without_an_answer_may_have_taken_it() -> None:
    script = ScriptedHistory()
    put(script, "q/1")
    script.info(script.invoke(Delete("q/1"), f="dequeue"))
    script.did(ALL, shows(), 3)
    assert judge(script).valid is True


def test_a_refused_dequeue_took_nothing() -> None:
    script = ScriptedHistory()
    put(script, "q/1")
    take(script, "q/1", deleted=0)
    script.did(ALL, shows(), 3)
    assert kinds(judge(script)) == ["lost"]


def test_an_element_that_was_missing_and_comes_out_later_is_stale() -> None:
    script = ScriptedHistory()
    put(script, "q/1")
    script.did(ALL, shows(), 3)
    take(script, "q/1")
    assert kinds(judge(script)) == ["stale"]


def test_an_element_that_was_taken_and_is_shown_later_is_stale() -> None:
    script = ScriptedHistory()
    put(script, "q/1")
    take(script, "q/1")
    script.did(ALL, shows("q/1"), 3)
    verdict = judge(script)
    assert kinds(verdict) == ["stale"]
    assert "which process 1's delete q/1" in verdict.anomalies[0].because


def test_a_read_during_a_dequeue_may_show_the_element_or_not() -> None:
    for shown in ((), ("q/1",)):
        script = ScriptedHistory()
        put(script, "q/1")
        taking = script.invoke(Delete("q/1"), f="dequeue")
        script.did(ALL, shows(*shown), 3)
        script.ok(taking, DeleteResult(deleted=1), 3)
        assert judge(script).valid is True


def test_an_element_that_was_dequeued_twice_is_duplicated() -> None:
    script = ScriptedHistory()
    put(script, "q/1")
    take(script, "q/1")
    take(script, "q/1")
    assert kinds(judge(script)) == ["duplicated"]


def test_an_element_that_was_put_in_twice_may_be_taken_twice() -> None:
    script = ScriptedHistory()
    put(script, "q/1")
    take(script, "q/1")
    put(script, "q/1")
    take(script, "q/1")
    script.did(ALL, shows(), 3)
    assert judge(script).valid is True


def test_an_element_that_was_never_put_in_is_unexpected() -> None:
    script = ScriptedHistory()
    script.fail(script.invoke(Put("q/1"), f="enqueue"))
    take(script, "q/1")
    put(script, "q/2")
    script.did(ALL, shows("q/2", "q/9"), 3)
    assert kinds(judge(script)) == ["unexpected", "unexpected"]


def test_an_element_that_is_neither_taken_nor_read_is_undecided() -> None:
    script = ScriptedHistory()
    put(script, "q/1", "q/2")
    take(script, "q/1")
    verdict = judge(script)
    assert verdict.valid is None
    assert "never read: 1 acknowledged elements" in verdict.why
    assert check_queue(Evidence(History((), (), ()))).why.startswith("not applicable")


def generated(seed: int, operations: int = 500, clients: int = 6) -> list[Event]:
    """Producers and consumers of one queue; a consumer looks, then deletes the first."""
    chance = Random(seed)
    script = ScriptedHistory()
    inside: dict[str, None] = {}
    seen: dict[int, str] = {}
    waiting: dict[int, tuple[int, Any]] = {}

    def end(client: int) -> None:
        process, asked = waiting.pop(client)
        uncertain = chance.random() < 0.04
        happens = not uncertain or chance.random() < 0.5
        answer: Any = shows(*sorted(inside))
        if isinstance(asked, Put):
            answer = PutResult()
            if happens:
                inside[asked.key] = None
        elif isinstance(asked, Delete):
            found = happens and asked.key in inside
            if found:
                del inside[asked.key]
            answer = DeleteResult(deleted=int(found))
        elif inside:
            seen[client] = min(inside)
        if uncertain:
            script.info(process)
        else:
            script.ok(process, answer, 2)

    for number in range(operations):
        client = chance.randrange(clients)
        if client in waiting:
            end(client)
        elif client % 2:
            asked: Any = Put(f"q/{number:04}")
            waiting[client] = (script.invoke(asked, f="enqueue"), asked)
        elif client in seen:
            asked = Delete(seen.pop(client))
            waiting[client] = (script.invoke(asked, f="dequeue"), asked)
        else:
            waiting[client] = (script.invoke(ALL), ALL)
    for client in list(waiting):
        end(client)
    script.did(ALL, shows(*sorted(inside)), 2)
    return script.events


def corrupted(events: list[Event], place: int, value: Any) -> Verdict:
    changed = list(events)
    changed[place] = msgspec.structs.replace(
        events[place], value=msgspec.Raw(msgspec.json.encode(value))
    )
    return check_queue(Evidence(History.of(changed)))


@pytest.mark.parametrize("seed", range(8))
def test_generated_histories_are_valid_and_corrupt_ones_are_not(seed: int) -> None:
    events = generated(seed)
    assert check_queue(Evidence(History.of(events))).valid is True
    last = msgspec.json.decode(events[-1].value, type=RangeResult)
    assert "lost" in kinds(corrupted(events, -1, shows(*[kv.key for kv in last.kvs[1:]])))
    every = [kv.key for kv in last.kvs]
    assert kinds(corrupted(events, -1, shows(*every, "q/none"))) == ["unexpected"]
    taken = next(
        op for op in History.of(events).operations
        if op.f == "dequeue" and isinstance(op.result, DeleteResult) and op.result.deleted
    )
    assert isinstance(taken.request, Delete)
    assert "stale" in kinds(corrupted(events, -1, shows(*every, taken.request.key)))


def logged(*rows: tuple[str, Any, Any, str, str | None]) -> list[ForeignOperation]:
    return [
        ForeignOperation(
            0, f, "", given, outcome, answer, 2 * n, None if outcome == "info" else 2 * n + 1,  # type: ignore[arg-type]
            2 * n + 1, error=error,
        )
        for n, (f, given, answer, outcome, error) in enumerate(rows)
    ]


def test_a_log_of_a_queue_is_judged() -> None:
    rows: list[tuple[str, Any, Any, str, str | None]] = [
        ("enqueue", 1, 1, "ok", None),
        ("enqueue", 2, 2, "ok", None),
        ("enqueue", 3, None, "info", "timeout"),
        ("dequeue", None, 2, "ok", None),
    ]
    assert model_of(logged(*rows)) == "queue"
    assert check_log(logged(*rows)).valid is None
    assert check_log(logged(*rows, ("drain", None, [1, 3], "ok", None))).valid is True
    assert kinds(check_log(logged(*rows, ("drain", None, [3], "ok", None)))) == ["lost"]
    assert kinds(check_log(logged(*rows, ("drain", None, [1, 2], "ok", None)))) == ["duplicated"]
    assert kinds(check_log(logged(*rows, ("drain", None, [1, 7], "ok", None)))) == ["unexpected"]
    found_nothing = ("dequeue", None, None, "fail", "empty")
    assert kinds(check_log(logged(*rows, found_nothing))) == ["lost"]
    # Somebody without an answer may have taken one, and only one.
    unsure = ("dequeue", None, None, "info", "timeout")
    assert check_log(logged(*rows, unsure, found_nothing)).valid is True
    more = [("enqueue", 8, 8, "ok", None), *rows]
    assert kinds(check_log(logged(*more, unsure, found_nothing))) == ["lost"]


def test_a_drain_without_an_answer_may_have_taken_every_missing_element() -> None:
    ops = [
        ForeignOperation(0, "enqueue", "", 1, "ok", 1, 0, 1, 1),
        ForeignOperation(0, "enqueue", "", 2, "ok", 2, 2, 3, 3),
        ForeignOperation(0, "drain", "", None, "info", None, 4, None, 5),
        ForeignOperation(1, "drain", "", None, "ok", [], 6, 7, 7),
    ]
    assert check_log(ops).valid is True
    one = msgspec.structs.replace(ops[2], f="dequeue")
    verdict = check_log([*ops[:2], one, ops[3]])
    assert kinds(verdict) == ["lost"]


def test_a_dequeue_that_found_nothing_takes_nothing() -> None:
    assert check_log([
        ForeignOperation(0, "dequeue", "", None, "ok", None, 0, 1, 1),
        ForeignOperation(0, "enqueue", "", 1, "ok", 1, 2, 3, 3),
        ForeignOperation(0, "dequeue", "", None, "ok", 1, 4, 5, 5),
    ]).valid is True


def test_a_deleted_interval_takes_the_elements_that_its_answer_names_or_counts() -> None:
    gone = DeleteResult(deleted=2, prev_kvs=(KeyValue("q/1"), KeyValue("q/2")))
    for answer, expected in (
        (gone, []), (DeleteResult(deleted=2), []), (DeleteResult(deleted=1), ["lost"]),
    ):
        script = ScriptedHistory()
        put(script, "q/1", "q/2")
        script.did(Delete("q/", "q0", prev_kv=bool(answer.prev_kvs)), answer, 4, f="dequeue")
        script.did(ALL, shows(), 4)
        assert kinds(judge(script)) == expected
    script = ScriptedHistory()
    put(script, "q/1", "q/2")
    script.info(script.invoke(Delete("q/", "q0"), f="dequeue"))
    script.did(ALL, shows(), 4)
    assert judge(script).valid is True
