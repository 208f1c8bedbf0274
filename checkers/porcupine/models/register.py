"""Models registers, one for each key, with the operations read, write and compare-and-swap.

The output of a read is the value (None: no value yet). The output of a write is None. The output of
a compare-and-swap is True if the register had the expected value, and False otherwise. An operation
that never returned has the output None. For a compare-and-swap this means that it is unknown
whether the operation succeeded.
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
    """Read the register `key`. The output is its value."""

    key: Hashable


class Write(NamedTuple):
    """Write `value` to the register `key`. The output is None."""

    key: Hashable
    value: Value


class CompareAndSwap(NamedTuple):
    """Write `value` to the register `key` if the register has the value `expected`.

    The output is True if the register had the expected value, and False otherwise.
    """

    key: Hashable
    expected: Value
    value: Value


Input = Read | Write | CompareAndSwap


def _step(state: Value, given: Input, output: Value) -> tuple[bool, Value]:
    if isinstance(given, Read):
        return output == state, state
    if isinstance(given, Write):
        return True, given.value
    found = state == given.expected
    return output is None or output == found, given.value if found else state


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
    """Decide by sorting whether the operations on one register are linearizable.

    A history in which an operation shows a value that no operation can have written is illegal.
    Other histories need a search in two cases, and the function returns None:

    - A value is written twice.
    - A compare-and-swap failed. Its answer does not show the value that the register had.
    """
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
    """Return whether each value that an answer shows is `initial` or may have been written."""
    written = {initial}
    met: list[Value] = []
    for op in operations:
        given = op.input
        if isinstance(given, Read):
            if op.ret != math.inf:
                met.append(op.output)
            continue
        if isinstance(given, Write) or op.output is not False:
            written.add(given.value)
        if isinstance(given, CompareAndSwap) and op.output is True:
            met.append(given.expected)
    return written.issuperset(met)


def register(initial: Value = None) -> Model[Value, Input, Value]:
    """Return a model of registers that all have the value `initial` at the start."""
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
