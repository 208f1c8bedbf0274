"""Models one key of an etcd-like store as a register of porcupine.

The value that an operation *meets* is the value of the register just before the operation takes
effect. A register is decided by sorting if each value is written once and each answer shows the
value that the operation met (`porcupine/unique_values.py`,
`porcupine/unique_values_with_deletes.py`). If an operation met a value that no operation can have
written, the history is illegal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from splitbrain.checkers import wording
from splitbrain.checkers.linearizable.delete_placement import place_deletes
from splitbrain.checkers.porcupine import Model, Operation
from splitbrain.checkers.porcupine.blocks import ILLEGAL, Decision
from splitbrain.checkers.porcupine.models.by_key import by_key
from splitbrain.checkers.porcupine.unique_values import NOTHING, decide_register
from splitbrain.checkers.porcupine.unique_values_with_deletes import decide_with_deletes


class Read(NamedTuple):
    """A read of the register `key`. The output is the value, or None for an absent key."""

    key: str


class Write(NamedTuple):
    """A put of `value` to the register `key`, or a delete if `value` is None.

    The output, a `Before`, contains what the answer shows about the value before the write.
    """

    key: str
    value: str | None


class Swap(NamedTuple):
    """A compare-and-swap: put `value` if the register has the value `expected`.

    If `negated`, put `value` if the register has any other value. The output, a `Before`, contains
    what the answer shows about the value before.
    """

    key: str
    expected: str | None
    negated: bool
    value: str


class Before(NamedTuple):
    """The part of an answer to a write that shows the register's value before the write.

    If `known` is true, `value` is that value. If only `present` is true, the key existed, but its
    value is unknown, as after a delete that returned `deleted: 1`. `swapped` is false if a
    compare-and-swap put nothing.
    """

    swapped: bool
    known: bool
    value: str | None
    present: bool = False


Input = Read | Write | Swap
State = str | None
Op = Operation[Any, Any]


def _step(state: State, given: Input, output: Any) -> tuple[bool, State]:
    match given:
        case Read():
            return output == state, state
        case Write(_, value):
            if output is not None and output.known and output.value != state:
                return False, state
            if output is not None and output.present and state is None:
                return False, state
            return True, value
        case Swap(_, expected, negated, value):
            holds = (state == expected) != negated
            if output is not None and (
                output.swapped != holds or (output.known and output.value != state)
            ):
                return False, state
            return True, value if holds else state


def read_only(given: Input, output: Any) -> bool:
    """Return whether the operation `given` with the answer `output` changed nothing.

    This is true for a read, and for a compare-and-swap that failed.
    """
    return isinstance(given, Read) or (
        isinstance(given, Swap) and output is not None and not output.swapped
    )


def state_text(state: State) -> str:
    """Format a state: `'40'`, or `absent` for a key that does not exist."""
    return "absent" if state is None else wording.value(state)


def describe(given: Input, output: Any) -> str:
    """Describe an operation, as `put r='4'`, `get r -> '4'` or `if r = '4' put '5' -> put`."""
    match given:
        case Read(key):
            return f"get {key} -> {state_text(output)}"
        case Write(key, value):
            asked = f"delete {key}" if value is None else f"put {key}={wording.value(value)}"
            if output is not None and output.known:
                return f"{asked} -> found {state_text(output.value)}"
            return asked + (" -> it existed" if output and output.present else "")
        case Swap(key, expected, negated, value):
            sign = "!=" if negated else "="
            answer = "?" if output is None else "put" if output.swapped else "not put"
            found = f", found {state_text(output.value)}" if output and output.known else ""
            return (
                f"if {key} {sign} {state_text(expected)} put {wording.value(value)} "
                f"-> {answer}{found}"
            )


def _decide(operations: Sequence[Op]) -> Decision | None:
    """Decide by sorting whether the operations on one register are linearizable.

    This is possible if each value is written once, and each answer shows the value that the
    register had just before the operation. Nearly all histories of puts, gets and compare-and-swaps
    are of this kind. Returns None if the history needs a search.
    """
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
    decide = decide_with_deletes if None in written else decide_register
    decision = decide(met, wrote, calls, rets, None)
    if decision is None or not decision.legal or not any(map(_shows_presence, operations)):
        return decision
    order = _with_presence(operations, decision.order(), calls, rets)
    return None if order is None else Decision(True, lambda: order)


def _shows_presence(op: Op) -> bool:
    return isinstance(op.output, Before) and op.output.present


def _with_presence(
    operations: Sequence[Op], order: Sequence[int], calls: Sequence[float], rets: Sequence[float]
) -> list[int] | None:
    """Change the linearization `order` so that each delete finds a key if its answer says so.

    Returns None if no such order was found.
    """
    writes = {n for n, op in enumerate(operations) if isinstance(op.input, Write)}

    def step(n: int, state: State) -> tuple[bool, State]:
        return _step(state, operations[n].input, operations[n].output)

    return place_deletes(
        order,
        [n for n in order if _shows_presence(operations[n])],
        {n for n in writes if operations[n].input.value is not None},
        {n for n in writes if _fits_every_state(operations[n])},
        step, calls, rets,
    )


def _fits_every_state(op: Op) -> bool:
    return op.output is None or not (op.output.known or op.output.present)


def _all_written(operations: Sequence[Op]) -> bool:
    """Return whether some operation can have written each value that an answer shows."""
    written: set[State] = {None}
    met: list[State] = []
    for op in operations:
        given, output = op.input, op.output
        if isinstance(given, Read):
            if op.ret != math.inf:
                met.append(output)
            continue
        if output is None or output.swapped:
            written.add(given.value)
        if output is not None and output.known:
            met.append(output.value)
    return written.issuperset(met)


def _effect(op: Op) -> tuple[Any, Any] | None:
    """Return the register's value just before an operation, and the value that it wrote.

    The first value is NOTHING if it is not known. The second is NOTHING if the operation wrote
    nothing. Returns None if the values depend on the order of the operations.
    """
    given, output = op.input, op.output
    known = output is not None and isinstance(output, Before) and output.known
    if isinstance(given, Read):
        return (NOTHING if op.ret == math.inf else output), NOTHING
    if isinstance(given, Write):
        return (output.value if known else NOTHING), given.value
    if output is None:
        # If the swap took effect, it found the expected value. If not, it can be left out.
        return None if given.negated else (given.expected, given.value)
    if output.swapped:
        if known and (output.value == given.expected) == given.negated:
            return output.value, NOTHING  # no state allows this answer
        if known or not given.negated:
            return (output.value if known else given.expected), given.value
        return None
    if known or given.negated:
        return (output.value if known else given.expected), NOTHING
    return None


REGISTERS: Model[State, Input, Any] = Model(
    init=lambda: None,
    step=_step,
    partition=by_key,
    read_only=read_only,
    decide=_decide,
    describe_operation=describe,
    describe_state=state_text,
)
