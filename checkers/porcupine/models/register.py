"""Registers, one for each key: read, write, compare-and-swap.

The output of a read is the value read (None: there is none yet), that of a write is
None, that of a compare-and-swap whether it found what it expected. An operation that
never returned has the output None, which for a compare-and-swap means: whichever.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from splitbrain.checkers.porcupine.blocks import ILLEGAL, Decision
from splitbrain.checkers.porcupine.model import Model, Operation
from splitbrain.checkers.porcupine.models.by_key import by_key, events_by_key
from splitbrain.checkers.porcupine.unique_values import NOTHING, decide_register

Value = Hashable


class Read(NamedTuple):
    key: Hashable


class Write(NamedTuple):
    key: Hashable
    value: Value


class CompareAndSwap(NamedTuple):
    key: Hashable
    expected: Value
    value: Value


Input = Read | Write | CompareAndSwap


def _step(state: Value, given: Input, output: Value) -> tuple[bool, Value]:
    match given:
        case Read():
            return output == state, state
        case Write(_, value):
            return True, value
        case CompareAndSwap(_, expected, value):
            found = state == expected
            fits = output is None or output == found
            return fits, value if found else state


def _read_only(given: Input, output: Value) -> bool:
    return isinstance(given, Read) or (isinstance(given, CompareAndSwap) and output is False)


def _describe(given: Input, output: Value) -> str:
    match given:
        case Read(key):
            return f"read {key} -> {output}"
        case Write(key, value):
            return f"write {key} = {value}"
        case CompareAndSwap(key, expected, value):
            answer = "?" if output is None else "yes" if output is True else "no"
            return f"cas {key} {expected} => {value} -> {answer}"


def _decide(operations: Sequence[Operation[Input, Value]], initial: Value) -> Decision | None:
    """By unique values, where no compare-and-swap failed: what that one met is not told. And
    whatever else: what nobody can have written cannot be met."""
    if not _all_written(operations, initial):
        return ILLEGAL
    met: list[Value] = []
    wrote: list[Value] = []
    written: set[Value] = {initial}
    for op in operations:
        given = op.input
        if isinstance(given, Read):
            met.append(NOTHING if op.ret == math.inf else op.output)
            wrote.append(NOTHING)
            continue
        if given.value in written:
            return None
        written.add(given.value)
        wrote.append(given.value)
        if isinstance(given, Write):
            met.append(NOTHING)
        elif op.output is False:
            return None
        else:
            met.append(given.expected)
    calls, rets = [op.call for op in operations], [op.ret for op in operations]
    return decide_register(met, wrote, calls, rets, initial)


def _all_written(operations: Sequence[Operation[Input, Value]], initial: Value) -> bool:
    """Whether each value that was met is the first one, or somebody may have written it."""
    there = {initial}
    met: list[Value] = []
    for op in operations:
        given = op.input
        if isinstance(given, Read):
            if op.ret != math.inf:
                met.append(op.output)
            continue
        if isinstance(given, Write) or op.output is not False:
            there.add(given.value)
        if isinstance(given, CompareAndSwap) and op.output is True:
            met.append(given.expected)
    return there.issuperset(met)


def register(initial: Value = None) -> Model[Value, Input, Value]:
    """Registers that all start at `initial`."""
    return Model(
        decide=lambda operations: _decide(operations, initial),
        init=lambda: initial,
        step=_step,
        partition=by_key,
        partition_events=events_by_key,
        read_only=_read_only,
        describe_operation=_describe,
        describe_state=str,
    )
