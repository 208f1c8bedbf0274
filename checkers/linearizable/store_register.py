"""A key of a v3 store as a register of porcupine's: what it is asked, and what is answered.

Where each value is written once and each operation tells what it met, sorting decides
(`splitbrain.checkers.porcupine.unique_values`, `emptied`); what nobody can have written is met by
nobody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from splitbrain.checkers.porcupine import Model, Operation
from splitbrain.checkers.porcupine.blocks import ILLEGAL, Decision
from splitbrain.checkers.porcupine.models.by_key import by_key
from splitbrain.checkers.porcupine.unique_values import NOTHING, decide_register
from splitbrain.checkers.porcupine.unique_values_with_deletes import decide_emptied


class Read(NamedTuple):
    """Output: the value, None for an absent key."""

    key: str


class Write(NamedTuple):
    """Output: a `Before`. A delete writes None."""

    key: str
    value: str | None


class Swap(NamedTuple):
    """Put `value` if the key holds `expected` (`negated`: if not). Output: a `Before`."""

    key: str
    expected: str | None
    negated: bool
    value: str


class Before(NamedTuple):
    """What an answer tells of the state that a write met: its `value` if that was `told`."""

    swapped: bool
    told: bool
    value: str | None


Input = Read | Write | Swap
State = str | None
Op = Operation[Any, Any]


def _step(state: State, given: Input, output: Any) -> tuple[bool, State]:
    match given:
        case Read():
            return output == state, state
        case Write(_, value):
            if output is not None and output.told and output.value != state:
                return False, state
            return True, value
        case Swap(_, expected, negated, value):
            holds = (state == expected) != negated
            if output is not None and (
                output.swapped != holds or (output.told and output.value != state)
            ):
                return False, state
            return True, value if holds else state


def read_only(given: Input, output: Any) -> bool:
    return isinstance(given, Read) or (
        isinstance(given, Swap) and output is not None and not output.swapped
    )


def describe(given: Input, output: Any) -> str:
    match given:
        case Read(key):
            return f"get {key} -> {output}"
        case Write(key, value):
            return f"put {key}={value}" if value is not None else f"delete {key}"
        case Swap(key, expected, negated, value):
            sign = "!=" if negated else "="
            answer = "?" if output is None else "put" if output.swapped else "not put"
            return f"if {key} {sign} {expected} put {value} -> {answer}"


def _decide(operations: Sequence[Op]) -> Decision | None:
    """Without a search, where each value is written once and each operation tells what it
    met: nearly all histories of puts, gets and compare-and-swaps."""
    if not _all_written(operations):
        return ILLEGAL
    met: list[Any] = []
    wrote: list[Any] = []
    written: set[State] = set()
    for op in operations:
        found = _effect(op)
        if found is None:
            return None
        before, after = found
        if after is not NOTHING:
            if after in written and after is not None:
                return None
            written.add(after)
        elif before is not NOTHING and not _step(before, op.input, op.output)[0]:
            return ILLEGAL
        met.append(before)
        wrote.append(after)
    calls, rets = [op.call for op in operations], [op.ret for op in operations]
    decide = decide_emptied if None in written else decide_register
    return decide(met, wrote, calls, rets, None)


def _all_written(operations: Sequence[Op]) -> bool:
    """Whether each value that was met is no value, or somebody may have written it."""
    there: set[State] = {None}
    met: list[State] = []
    for op in operations:
        given, output = op.input, op.output
        if isinstance(given, Read):
            if op.ret != math.inf:
                met.append(output)
            continue
        if output is None or output.swapped:
            there.add(given.value)
        if output is not None and output.told:
            met.append(output.value)
    return there.issuperset(met)


def _effect(op: Op) -> tuple[Any, Any] | None:
    """The value that an operation met and the one that it wrote, either may be NOTHING;
    None if that cannot be said without knowing the order."""
    given, output = op.input, op.output
    told = output is not None and isinstance(output, Before) and output.told
    if isinstance(given, Read):
        return (NOTHING if op.ret == math.inf else output), NOTHING
    if isinstance(given, Write):
        return (output.value if told else NOTHING), given.value
    if output is None:
        # If it did anything it met what it expected; if it did nothing it is as if not there.
        return None if given.negated else (given.expected, given.value)
    if output.swapped:
        if told and (output.value == given.expected) == given.negated:
            return output.value, NOTHING  # no step fits that
        if told or not given.negated:
            return (output.value if told else given.expected), given.value
        return None
    if told or given.negated:
        return (output.value if told else given.expected), NOTHING
    return None


REGISTERS: Model[State, Input, Any] = Model(
    init=lambda: None,
    step=_step,
    partition=by_key,
    read_only=read_only,
    decide=_decide,
    describe_operation=describe,
    describe_state=str,
)
