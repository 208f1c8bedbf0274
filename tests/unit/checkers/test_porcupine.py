"""The search of porcupine: compared with all permutations, and each of its rules by itself."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.porcupine import (
    CheckResult,
    Event,
    Model,
    NondeterministicModel,
    Operation,
    check_events,
    check_operations,
    check_operations_verbose,
    operations_of,
)
from splitbrain.checkers.porcupine.models import counter
from splitbrain.checkers.porcupine.models.key_value import Append, Get, key_value, whole_key_value
from splitbrain.checkers.porcupine.models.register import CompareAndSwap, Read, Write, register
from tests.unit.checkers.exhaustive import linearizable

SEARCHED = replace(key_value(), decide=None)
"""Texts, judged by the search alone."""
OK, ILLEGAL, UNKNOWN = CheckResult.OK, CheckResult.ILLEGAL, CheckResult.UNKNOWN


@st.composite
def register_histories(draw: st.DrawFn) -> list[Operation[Any, Any]]:
    count = draw(st.integers(1, 7))
    instants = draw(st.lists(st.integers(0, 12), min_size=2 * count, max_size=2 * count))
    operations: list[Operation[Any, Any]] = []
    for n in range(count):
        call, ret = sorted(instants[2 * n : 2 * n + 2])
        value = draw(st.integers(0, 2))
        kind = draw(st.sampled_from(("read", "write", "cas")))
        ends = math.inf if draw(st.integers(0, 3)) == 0 else ret
        given: Any
        output: Any = None
        if kind == "read":
            given, output = Read("k"), draw(st.sampled_from((None, 0, 1, 2)))
        elif kind == "write":
            given = Write("k", value)
        else:
            given = CompareAndSwap("k", draw(st.integers(0, 2)), value)
            output = None if ends == math.inf else draw(st.booleans())
        operations.append(Operation(n, given, call, output, ends))
    return operations


@settings(max_examples=600, deadline=None)
@given(register_histories())
def test_the_verdict_is_that_of_all_permutations(history: list[Operation[Any, Any]]) -> None:
    expected = OK if linearizable(register(), history) else ILLEGAL
    assert check_operations(register(), history) is expected


@settings(max_examples=200, deadline=None)
@given(register_histories())
def test_the_returned_linearization_is_legal(history: list[Operation[Any, Any]]) -> None:
    result, info = check_operations_verbose(register(), history)
    (part,) = info.partitions
    for order in part.partials:
        state: Any = None
        for n in order:
            op = part.operations[n]
            fits, state = register().step(state, op.input, op.output)
            assert fits
        places = {n: place for place, n in enumerate(order)}
        for one in order:
            for other in order:
                if part.operations[one].ret < part.operations[other].call:
                    assert places[one] < places[other]
    if result is OK:
        done = {n for n, op in enumerate(part.operations) if op.ret != math.inf}
        assert done <= set(part.partials[0])


def coin(step: Any) -> NondeterministicModel[int, str, Any]:
    return NondeterministicModel(init=lambda: (0, 1), step=step)


def test_a_nondeterministic_object_may_be_in_several_states() -> None:
    def step(state: int, given: str, output: Any) -> tuple[int, ...]:
        if given == "toss":
            return (0, 1)
        return (state,) if output == state else ()

    model = coin(step).to_model()
    toss: Operation[str, Any] = Operation(0, "toss", 0, None, 1)
    assert check_operations(model, [toss, Operation(0, "look", 2, 1, 3)]) is OK
    contradiction = [toss, Operation(0, "look", 2, 1, 3), Operation(0, "look", 4, 0, 5)]
    assert check_operations(model, contradiction) is ILLEGAL


def test_calls_come_before_returns_at_one_instant() -> None:
    write: Operation[Any, Any] = Operation(0, Write("k", 1), 0, None, 5)
    assert check_operations(register(), [write, Operation(1, Read("k"), 5, None, 6)]) is OK
    assert check_operations(register(), [write, Operation(1, Read("k"), 6, None, 7)]) is ILLEGAL


def test_an_operation_that_never_returned_may_have_happened_or_not() -> None:
    lost: Operation[Any, Any] = Operation(0, Write("k", 1), 0, None)
    for seen in (None, 1):
        assert check_operations(register(), [lost, Operation(1, Read("k"), 1, seen, 2)]) is OK
    back = [lost, Operation(1, Read("k"), 1, 1, 2), Operation(1, Read("k"), 3, None, 4)]
    assert check_operations(register(), back) is ILLEGAL


def test_events_without_a_return_are_pending() -> None:
    events = [
        Event(0, "call", Write("k", 1), 0),
        Event(1, "call", Read("k"), 1),
        Event(1, "return", 1, 1),
    ]
    assert check_events(register(), events) is OK
    assert [op.ret for op in operations_of(events)] == [math.inf, 2]
    with pytest.raises(ValueError, match="without a call"):
        operations_of([Event(0, "return", None, 7)])


def test_keys_are_judged_separately() -> None:
    wide: list[Operation[Any, Any]] = [
        Operation(n, Append(f"k{n % 9}", f"{n}"), 0, None, 100) for n in range(90)
    ]
    reads = [
        Operation(n, Get(f"k{n}"), 101, "".join(f"{m}" for m in range(90) if m % 9 == n), 102)
        for n in range(9)
    ]
    assert check_operations(key_value(), wide + reads, timeout_s=20) is OK


def test_an_illegal_partition_ends_the_search_of_an_exponential_one() -> None:
    # No order of 26 appends gives "?"; trying them all takes longer than the universe has.
    endless: list[Operation[Any, Any]] = [
        Operation(n, Append("a", chr(65 + n)), 0, None, 100) for n in range(26)
    ]
    endless.append(Operation(0, Get("a"), 101, "?", 102))
    illegal = [Operation(99, Get("b"), 200 + n, f"{n}", 201 + n) for n in range(900)]
    began = time.monotonic()
    assert check_operations(SEARCHED, endless + illegal) is ILLEGAL
    assert time.monotonic() - began < 10


def test_limits_end_in_unknown() -> None:
    endless: list[Operation[Any, Any]] = [
        Operation(n, Append("a", chr(65 + n)), 0, None, 100) for n in range(26)
    ]
    endless.append(Operation(0, Get("a"), 101, "?", 102))
    result, info = check_operations_verbose(SEARCHED, endless, timeout_s=0.2)
    assert result is UNKNOWN
    assert "time" in info.why
    result, info = check_operations_verbose(SEARCHED, endless, memory_bytes_max=1 << 20)
    assert result is UNKNOWN
    assert "memory" in info.why


def test_a_slow_model_does_not_exceed_the_time_limit() -> None:
    def step(state: frozenset[int], given: int, output: Any) -> tuple[bool, frozenset[int]]:
        time.sleep(0.002)
        return given >= 0, state | {given}

    model: Model[frozenset[int], int, Any] = Model(init=frozenset, step=step)
    history = [Operation(n, n, 0, None, 100) for n in range(40)]
    history.append(Operation(99, -1, 101, None, 102))
    began = time.monotonic()
    result, info = check_operations_verbose(model, history, timeout_s=0.3)
    assert result is UNKNOWN
    assert "time" in info.why
    assert time.monotonic() - began < 2


def test_a_long_history_of_one_key_takes_linear_time() -> None:
    history: list[Operation[Any, Any]] = []
    for n in range(20_000):
        history.append(Operation(0, Write("k", n), 3 * n, None, 3 * n + 4))
        history.append(Operation(1, Read("k"), 3 * n + 2, n, 3 * n + 5))
    assert check_operations(register(), history, timeout_s=20) is OK


def test_states_that_cannot_be_hashed_are_compared() -> None:
    model: Model[list[int], str, Any] = Model(
        init=list,
        step=lambda state, given, output: (True, [*state, len(state)])
        if given == "push"
        else (output == len(state), state),
    )
    history: list[Operation[str, Any]] = [
        Operation(0, "push", 0, None, 1),
        Operation(0, "push", 0, None, 1),
        Operation(0, "size", 2, 2, 3),
    ]
    assert check_operations(model, history) is OK


def test_a_read_only_operation_that_changes_the_state_is_an_error() -> None:
    model: Model[int, str, Any] = Model(
        init=int, step=lambda state, given, output: (True, state + 1), read_only=lambda *_: True
    )
    with pytest.raises(ValueError, match="read-only"):
        check_operations(model, [Operation(0, "count", 0, None, 1)])


def test_named_tuples_of_two_classes_are_not_one_operation() -> None:
    # Put("k", "x") and Append("k", "x") are equal as tuples.
    from splitbrain.checkers.porcupine.models.key_value import Put

    history: list[Operation[Any, Any]] = [
        Operation(0, Append("k", "x"), 0, None, 1),
        Operation(0, Append("k", "x"), 2, None, 3),
        Operation(0, Put("k", "x"), 4, None, 5),
        Operation(0, Get("k"), 6, "x", 7),
    ]
    assert check_operations(key_value(), history) is OK
    assert check_operations(whole_key_value(), history) is OK


def test_an_operation_that_returns_before_its_call_is_refused() -> None:
    with pytest.raises(ValueError, match="expected call <= ret"):
        Operation(0, Read("k"), 5, None, 4)


def test_states_of_any_size_are_within_the_limit_of_memory() -> None:
    long = "x" * 100_000
    endless: list[Operation[Any, Any]] = [
        Operation(n, Append("a", f"{long}{n}"), 0, None, 100) for n in range(12)
    ]
    endless.append(Operation(0, Get("a"), 101, "?", 102))
    result, info = check_operations_verbose(SEARCHED, endless, memory_bytes_max=20 << 20)
    assert result is UNKNOWN
    assert "memory" in info.why


def test_a_partition_that_is_decided_without_a_search_has_no_limit() -> None:
    history: list[Operation[Any, Any]] = [
        Operation(n, Append("a", f"{n};"), 0, None, 100) for n in range(200)
    ]
    text = "".join(f"{n};" for n in reversed(range(200)))
    history.append(Operation(0, Get("a"), 101, text, 102))
    assert check_operations(key_value(), history, timeout_s=0) is OK
    assert check_operations(whole_key_value(), history, timeout_s=0) is OK
    wrong = [*history, Operation(0, Get("a"), 103, text[:-2], 104)]
    assert check_operations(key_value(), wrong, timeout_s=0) is ILLEGAL
    registers: list[Operation[Any, Any]] = [
        Operation(n, Write("k", n), 0, None, 100) for n in range(50)
    ]
    registers += [Operation(n, Read("k"), 0, n, 100) for n in range(50)]
    assert check_operations(register(), registers, timeout_s=0) is OK
    registers += [Operation(0, Read("k"), 101 + n, n, 101 + n) for n in (1, 0)]
    assert check_operations(register(), registers, timeout_s=0) is ILLEGAL


def test_equal_operations_are_interchangeable() -> None:
    # 60 adds at once: 2 ** 60 subsets, but only 61 of them differ.
    adds: list[Operation[Any, Any]] = [
        Operation(n, counter.Add(1), n / 100, None, 100 + n) for n in range(60)
    ]
    reads = [Operation(90, counter.ReadSum(), 1 + n, 7 * n, 2 + n) for n in range(8)]
    assert check_operations(counter.counter(), adds + reads, timeout_s=20) is OK
    reads.append(Operation(91, counter.ReadSum(), 20, 48, 21))
    assert check_operations(counter.counter(), adds + reads, timeout_s=20) is ILLEGAL


def test_the_guide_to_models_is_true() -> None:
    guide = Path(__file__).parents[3] / "docs" / "howto" / "porcupine-alone.md"
    blocks = re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(block, {"__name__": "guide"})


def test_a_read_may_rule_out_states_of_a_nondeterministic_object() -> None:
    either: NondeterministicModel[int, str, Any] = NondeterministicModel(
        init=lambda: (0, 1),
        step=lambda state, given, output: (state,) if output == state else (),
        read_only=lambda given, output: True,
    )
    model = either.to_model()
    one, other = Operation(0, "look", 0, 1, 1), Operation(0, "look", 2, 0, 3)
    assert check_operations(model, [one]) is OK
    assert check_operations(model, [one, other]) is ILLEGAL


def test_a_model_may_be_made_with_its_types_named() -> None:
    """`Generic` sets an attribute on the new object, which a frozen class with slots refuses."""
    model = Model[int, int, int](init=lambda: 0, step=lambda state, put, _: (True, put))
    loose = NondeterministicModel[int, int, int](init=lambda: [0], step=lambda *_: [0, 1])
    assert check_operations(model, [Operation(0, 1, 0, 1, 2)]) is OK
    assert check_operations(loose.to_model(), [Operation(0, 1, 0, 1, 2)]) is OK
