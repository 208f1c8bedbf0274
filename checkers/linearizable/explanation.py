"""Makes the anomaly that says why a key is not a linearizable register."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.linearizable.store_register import (
    REGISTERS,
    Op,
    Read,
    State,
    Swap,
    describe,
)
from splitbrain.checkers.minimise.linearization_explanation import no_order, sentence
from splitbrain.checkers.porcupine import PartitionInfo
from splitbrain.checkers.verdict import Anomaly
from splitbrain.histories.history import Operation as Recorded


def explain(
    part: PartitionInfo[Any, Any], recorded: Mapping[int, Recorded], deadline: float
) -> Anomaly:
    """Return an anomaly that explains why the operations of `part` are not linearizable.

    `recorded` contains the operations of the history by the index of their invocation. The
    function reduces the explanation until `deadline`, a time of `time.monotonic`.
    """
    key = part.operations[0].input.key
    found = no_order(REGISTERS, part.operations, deadline, useful=useful_writes)

    def who(op: Op) -> str:
        one = recorded[int(op.call)]
        return f"{wording.node(one)} to process {one.process} at {wording.seconds(one.ret or 0)}"

    def text(op: Op) -> str:
        return describe(op.input, op.output)

    because = sentence(found, text, who, f"{key} = {found.state}")
    events = {int(at) for op in found.shown for at in (op.call, op.ret) if at != math.inf}
    return Anomaly(
        "not linearizable",
        f"{key} is not a linearizable register: {because}",
        tuple(sorted(events)),
        detail={
            "key": key,
            "operations": [int(op.call) for op in found.shown],
            "needed": [int(op.call) for op in found.needed],
            "linearization": [int(op.call) for op in found.order],
            "stuck": None if found.blamed is None else int(found.blamed.call),
            "state": found.state,
        },
    )


def useful_writes(certain: Sequence[Op], weakened: Sequence[Op]) -> list[Op]:
    """Return the writes in `weakened` that an explanation of the operations `certain` can need.

    The operations in `weakened` may or may not have happened. A write is useful if its value may be
    the one that a certain operation, or a useful compare-and-swap, found in the register. If it is
    not known which value such an operation found, all weakened writes are useful.
    """
    met: set[State] = set()
    for op in certain:
        values = _met(op)
        if values is None:
            return list(weakened)
        met |= values
    by_value: dict[State, list[Op]] = {}
    for op in weakened:
        by_value.setdefault(op.input.value, []).append(op)
    useful: list[Op] = []
    left = [value for value in met if value in by_value]
    while left:
        for op in by_value.pop(left.pop(), ()):
            useful.append(op)
            if isinstance(op.input, Swap):
                if op.input.negated:
                    return list(weakened)
                left.append(op.input.expected)
    return useful


def _met(op: Op) -> set[State] | None:
    """Return the values that the register can have had just before `op`, or None for any value.

    They are the values that the answer of `op` shows, or that `op` requires in order to take
    effect.
    """
    given, output = op.input, op.output
    if isinstance(given, Read):
        return {output}
    expected = {given.expected} if isinstance(given, Swap) else set()
    if output is None:
        return expected
    if output.known:
        return expected | {output.value}
    if output.present or (isinstance(given, Swap) and output.swapped is given.negated):
        return None
    return expected
