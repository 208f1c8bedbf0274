"""The checkers for the histories of other tools: registers, locks, sets and other models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.foreign.linearizable import (
    check_mutexes,
    check_registers,
    register_operations,
)
from splitbrain.checkers.foreign.models import UnknownModel, model_of
from splitbrain.checkers.foreign.objects import check_sets
from splitbrain.checkers.minimise.linearization_explanation import no_order
from splitbrain.checkers.porcupine import Operation
from splitbrain.checkers.porcupine.models.register import register
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import ForeignOperation

MS = 1_000_000


def log(*rows: tuple[Any, ...]) -> list[ForeignOperation]:
    """Rows of f, argument, outcome, answer, begin, end (None: never), each a new process."""
    return [
        ForeignOperation(
            process, f, "", argument, outcome, answer if outcome == "ok" else None, begin,
            end if outcome != "info" else None, end, begin * MS,
            None if end is None else end * MS,
        )
        for process, (f, argument, outcome, answer, begin, end) in enumerate(rows)
    ]


STALE = log(
    ("write", 1, "ok", 1, 0, 1),
    ("read", None, "ok", 1, 2, 3),
    ("write", 2, "ok", 2, 4, 5),
    ("read", None, "ok", 2, 6, 7),
    ("write", 9, "info", None, 8, None),
    ("read", None, "ok", 1, 10, 11),
)


def test_a_register_that_goes_back_is_explained_by_few_operations() -> None:
    verdict = check_registers(STALE)
    assert verdict.valid is False
    (anomaly,) = verdict.anomalies
    # 1, then 2, then 1 again, which was written but once.
    assert anomaly.events == (0, 1, 2, 3, 4, 5, 6, 7, 10, 11)
    assert anomaly.detail["needed"] == [2, 6, 10]
    assert anomaly.detail["linearization"] == [0, 2, 4, 6]
    assert anomaly.detail["stuck"] == 10
    assert anomaly.detail["state"] == "2"
    assert "The first answer that does not fit is that of process 5" in anomaly.because


def test_a_failed_swap_did_not_happen_or_met_another_value_by_format() -> None:
    ops = log(("write", 1, "ok", 1, 0, 1), ("cas", [1, 2], "fail", None, 2, 3))
    assert check_registers(ops).valid is None
    assert check_registers([*ops, *log(("read", None, "ok", 1, 4, 5))]).valid
    assert check_registers(ops, failed_swap_reads=True).valid is False


def test_a_swap_without_a_pair_is_an_error() -> None:
    with pytest.raises(HistoryError, match=r"event 0: cas with value 5; expected \[old value"):
        check_registers(log(("cas", 5, "ok", 5, 0, 1)))


def test_a_lock_has_one_holder() -> None:
    held = ("acquire", None, "ok", None, 0, 1)
    assert check_mutexes(log(held, ("release", None, "ok", None, 2, 3),
                             ("acquire", None, "ok", None, 4, 5))).valid
    twice = check_mutexes(log(held, ("acquire", None, "ok", None, 2, 3)))
    assert twice.valid is False
    assert twice.anomalies[0].detail["state"] == "held"
    # A release that may have happened lets another in.
    assert check_mutexes(log(held, ("release", None, "info", None, 2, 3),
                             ("acquire", None, "ok", None, 4, 5))).valid
    refused = ("acquire", None, "fail", None, 2, 3)
    assert check_mutexes(log(held, refused)).valid is None
    assert check_mutexes(log(held, refused, ("release", None, "ok", None, 4, 5))).valid


def test_an_element_of_a_set_stays() -> None:
    added = ("add", 1, "ok", 1, 0, 1)
    assert check_sets(log(added, ("read", None, "ok", [1], 2, 3))).valid
    lost = check_sets(log(added, ("read", None, "ok", [], 2, 3)))
    assert lost.valid is False
    assert lost.anomalies[0].kind == "lost"
    assert check_sets(log(added)).valid is None
    with pytest.raises(HistoryError, match="read of a set returned 1"):
        check_sets(log(added, ("read", None, "ok", 1, 2, 3)))


@pytest.mark.parametrize(("rows", "name"), [
    ([("read", None, "ok", 1, 0, 1)], "register"),
    ([("read", None, "ok", 1, 0, 1), ("cas", [1, 2], "ok", [1, 2], 2, 3)], "cas-register"),
    ([("acquire", None, "ok", None, 0, 1)], "mutex"),
    ([("add", 1, "ok", 1, 0, 1), ("read", None, "ok", [1], 2, 3)], "set"),
    ([("get", None, "ok", "", 0, 1)], "kv"),
    ([("txn", [[":append", 1, 1], [":r", 1, None]], "info", None, 0, 1)], "list-append"),
    ([("txn", [["w", 1, 1]], "info", None, 0, 1)], "rw-register"),
])
def test_the_model_is_inferred_from_the_operations(rows: list[tuple[Any, ...]], name: str) -> None:
    assert model_of(log(*rows)) == name


def test_operations_of_no_model_are_refused_with_the_models_there_are() -> None:
    with pytest.raises(UnknownModel, match=r"rename.*list-append"):
        model_of(log(("rename", [1, 2, 3], "ok", None, 0, 1)))


# --- the shortest part --------------------------------------------------------------


@st.composite
def registers(draw: st.DrawFn) -> list[ForeignOperation]:
    """Small logs of a register, about half of them not linearizable."""
    count = draw(st.integers(1, 6))
    rows: list[tuple[Any, ...]] = []
    for _ in range(count):
        begin = draw(st.integers(0, 12))
        end = begin + draw(st.integers(1, 6))
        value = draw(st.integers(0, 2))
        match draw(st.sampled_from(["read", "write", "lost"])):
            case "read":
                rows.append(("read", None, "ok", value, begin, end))
            case "write":
                rows.append(("write", value, "ok", value, begin, end))
            case _:
                rows.append(("write", value, "info", None, begin, None))
    rows.sort(key=lambda row: row[4])
    return log(*rows)


def possible(operations: Sequence[Operation[Any, Any]]) -> bool:
    """By trying all orders of all that may have happened."""
    model = register()
    certain = [op for op in operations if op.ret != float("inf")]
    open_ones = [op for op in operations if op.ret == float("inf")]
    for chosen in range(2 ** len(open_ones)):
        taken = certain + [op for n, op in enumerate(open_ones) if chosen >> n & 1]
        for order in permutations(taken):
            if any(later.ret < earlier.call for n, earlier in enumerate(order)
                   for later in order[n + 1:]):
                continue
            state = model.init()
            for op in order:
                fits, state = model.step(state, op.input, op.output)
                if not fits:
                    break
            else:
                return True
    return False


@settings(deadline=None, max_examples=150)
@given(registers())
def test_the_needed_operations_prove_it_and_cannot_be_weakened(
    ops: list[ForeignOperation],
) -> None:
    verdict = check_registers(ops)
    operations = register_operations(ops, failed_swap_reads=False)
    if not any(op.f == "read" for op in ops):
        assert verdict.valid is None
        return
    assert verdict.valid == possible(operations)
    if verdict.valid:
        return
    found = no_order(register(), operations, deadline=float("inf"))
    weak = weakened(operations, found.needed)
    assert not possible(weak)
    for one in found.needed:
        rest = [op for op in found.needed if op is not one]
        assert possible(weakened(operations, rest))
    assert found.blamed is not None
    assert found.blamed in found.needed
    (anomaly,) = verdict.anomalies
    assert anomaly.detail["needed"] == [op.call for op in found.needed]
    assert anomaly.detail["stuck"] == found.blamed.call


def weakened(
    operations: Sequence[Operation[Any, Any]], kept: Sequence[Operation[Any, Any]]
) -> list[Operation[Any, Any]]:
    """Others than `kept` say less: reads nothing, writes that they may have happened."""
    own = {id(op) for op in kept}
    model = register()
    return [
        op if id(op) in own else Operation(op.client, op.input, op.call, None)
        for op in operations
        if id(op) in own or not model.read_only(op.input, op.output)
    ]
