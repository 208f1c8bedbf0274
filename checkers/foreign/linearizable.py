"""Judges registers, strings and locks in histories of other tools, with porcupine.

The events in a verdict are line numbers of the file, and the times are those in the file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.foreign.conversion import Logged
from splitbrain.checkers.minimise.linearization_explanation import NoOrder, no_order, sentence
from splitbrain.checkers.porcupine import CheckResult, Model, Operation, check_operations_verbose
from splitbrain.checkers.porcupine.models import key_value, mutex
from splitbrain.checkers.porcupine.models import register as registers
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.formats.value_identity import identity, value_text

NOT_TEXT = "\U0010ffff"
"""The prefix of a string that represents a value of another type. No string in a history begins
with this character, so a value of another type never equals a string, or a result of appends."""
EXPLANATION_S_MAX = 10.0
"""The time limit for making the explanations smaller, for all partitions together."""


def register_operations(
    logged: Iterable[ForeignOperation], failed_swap_reads: bool = True
) -> list[Operation[registers.Input, registers.Value]]:
    """Convert the reads, writes and compare-and-swaps of a log to operations for porcupine.

    Operations that did not happen are left out. `failed_swap_reads` decides about failed
    compare-and-swaps. If it is true, they are kept: each must have met a value that differs from
    its expected value, as in the logs of porcupine. If it is false, they are left out, as in
    Knossos. Raises HistoryError for an operation that a register does not have.
    """
    operations: list[Operation[registers.Input, registers.Value]] = []
    for op in logged:
        ret = math.inf if op.ret is None else op.ret
        given: registers.Input
        answer: registers.Value = None
        match op.f:
            case "read":
                if op.outcome != "ok":
                    continue
                given, answer = registers.Read(op.key), identity(op.answer)
            case "write":
                if op.outcome == "fail":
                    continue
                given = registers.Write(op.key, identity(op.argument))
            case "cas":
                if op.outcome == "fail" and not failed_swap_reads:
                    continue
                expected, value = _pair(op)
                given = registers.CompareAndSwap(op.key, expected, value)
                answer = None if op.outcome == "info" else op.outcome == "ok"
            case _:
                raise HistoryError(f"event {op.call}: {op.f!r} is not an operation of a register")
        operations.append(Operation(
            client=op.process, input=given, call=op.call, output=answer, ret=ret
        ))
    return operations


def _pair(op: ForeignOperation) -> tuple[Any, Any]:
    pair = op.argument
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise HistoryError(
            f"event {op.call}: cas with value {op.argument!r}; expected [old value, new value]"
        )
    return identity(pair[0]), identity(pair[1])


def key_value_operations(
    logged: Iterable[ForeignOperation], initial: str = ""
) -> list[Operation[key_value.Input, key_value.Output]]:
    """Convert the gets, puts and appends of a log to operations for porcupine.

    Failed operations and gets without an answer are left out. A get that returned nil is converted
    to a get that returned `initial`.
    """
    operations: list[Operation[key_value.Input, key_value.Output]] = []
    for op in logged:
        if op.outcome == "fail" or (op.f == "get" and op.outcome != "ok"):
            continue
        given: key_value.Input
        answer: key_value.Output = None
        match op.f:
            case "get":
                given = key_value.Get(op.key)
                answer = initial if op.answer is None else _any_text(op.answer)
            case "put":
                given = key_value.Put(op.key, _any_text(op.argument))
            case "append":
                given = key_value.Append(op.key, _text(op, op.argument))
            case _:
                raise HistoryError(
                    f"event {op.call}: {op.f!r} is not an operation of a key-value store"
                )
        ret = math.inf if op.ret is None else op.ret
        operations.append(Operation(
            client=op.process, input=given, call=op.call, output=answer, ret=ret
        ))
    return operations


def _any_text(value: Any) -> str:
    """Return `value` if it is a string, and otherwise a string that equals no string of the log.

    A log may contain values that are not strings, such as numbers. A get that returned the number
    3 then matches only a put of the number 3, not of the string "3".
    """
    return value if isinstance(value, str) else NOT_TEXT + value_text(value)


def _text(op: ForeignOperation, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise HistoryError(f"event {op.call}: {op.f} with value {value!r}; expected a string")


def mutex_operations(logged: Iterable[ForeignOperation]) -> list[Operation[mutex.Input, None]]:
    """Convert the acquires and releases of a log to operations for porcupine.

    Failed operations are left out.
    """
    operations: list[Operation[mutex.Input, None]] = []
    for op in logged:
        if op.outcome != "fail":
            given = mutex.Acquire(op.key) if op.f == "acquire" else mutex.Release(op.key)
            ret = math.inf if op.ret is None else op.ret
            operations.append(Operation(
                client=op.process, input=given, call=op.call, output=None, ret=ret
            ))
    return operations


def check_registers(
    logged: Logged,
    timeout_s: float | None = None,
    failed_swap_reads: bool = False,
    initial: Any = None,
) -> Verdict:
    """Each key is a linearizable register with the operations read, write and compare-and-swap.

    Every register starts with the value `initial`. If `failed_swap_reads` is true, a failed
    compare-and-swap must have met a value that differs from its expected value. If it is false,
    failed compare-and-swaps are ignored.
    """
    operations = register_operations(logged, failed_swap_reads)
    if not any(_observes(op) for op in operations):
        return _no_evidence("no read and no compare-and-swap was answered")
    return _linearizable(registers.register(identity(initial)), operations, logged, timeout_s)


def _observes(op: Operation[registers.Input, registers.Value]) -> bool:
    """Return whether the answer of `op` depends on the state of the register."""
    if isinstance(op.input, registers.CompareAndSwap):
        return op.output is not None
    return isinstance(op.input, registers.Read) and op.ret != math.inf


def check_key_values(
    logged: Logged, timeout_s: float | None = None, initial: Any = None
) -> Verdict:
    """Each key is a linearizable string with the operations get, put and append.

    Every key starts with the string `initial`, or with the empty string if `initial` is None.
    """
    first = "" if initial is None else _any_text(initial)
    operations = key_value_operations(logged, first)
    if not any(isinstance(op.input, key_value.Get) for op in operations):
        return _no_evidence("no get was answered")
    model = key_value.key_value()
    if first:
        model = replace(model, init=lambda: first, decide=None)
    return _linearizable(model, operations, logged, timeout_s)


def check_mutexes(
    logged: Logged, timeout_s: float | None = None, initial: Any = None
) -> Verdict:
    """Each key is a linearizable lock that at most one process holds.

    Every lock starts as held if `initial` is true.
    """
    if initial not in (None, True, False):
        raise HistoryError(f"a lock cannot start as {value_text(initial)}: expected true or false")
    held = bool(initial)
    operations = mutex_operations(logged)
    acquired: dict[Any, int] = {}
    shows = False
    for op in operations:
        if op.ret == math.inf:
            continue
        before = acquired.get(op.input.key, int(held))
        shows = shows or before > 0 or isinstance(op.input, mutex.Release)
        acquired[op.input.key] = before + 1
    if not shows:
        return _no_evidence("no lock was released, and none was acquired twice")
    return _linearizable(replace(mutex.mutex(), init=lambda: held), operations, logged, timeout_s)


def _no_evidence(why: str) -> Verdict:
    return Verdict(
        "linearizable", None, why=f"{why}, so that nothing could have shown a violation"
    )


def _linearizable(
    model: Model[Any, Any, Any],
    operations: list[Operation[Any, Any]],
    logged: Logged,
    timeout_s: float | None,
) -> Verdict:
    result, info = check_operations_verbose(model, operations, timeout_s)
    counts = {"operations": len(operations), "partitions": len(info.partitions)}
    if result is CheckResult.OK:
        return Verdict("linearizable", True, counts=counts)
    if result is CheckResult.UNKNOWN:
        return Verdict("linearizable", None, counts=counts, why=info.why)
    deadline = time.monotonic() + EXPLANATION_S_MAX
    by_call = {op.call: op for op in logged}
    anomalies = tuple(
        _anomaly(model, no_order(model, part.operations, deadline), by_call)
        for part in info.partitions
        if part.result is CheckResult.ILLEGAL
    )
    return Verdict("linearizable", False, anomalies, counts)


def _anomaly(
    model: Model[Any, Any, Any], found: NoOrder, by_call: Mapping[int, ForeignOperation]
) -> Anomaly:
    def text(op: Operation[Any, Any]) -> str:
        described = model.describe_operation(op.input, op.output).replace(NOT_TEXT, "")
        # Without a key there are two spaces in its place.
        return described.replace("  ", " ", 1) if op.input.key == "" else described

    def who(op: Operation[Any, Any]) -> str:
        one = by_call[int(op.call)]
        return f"process {one.process}, {_when(one)}"

    events = {int(at) for op in found.shown for at in (op.call, op.ret) if at != math.inf}
    return Anomaly(
        "not linearizable",
        sentence(found, text, who, f"the state is {found.state.replace(NOT_TEXT, '')}"),
        tuple(sorted(events)),
        detail={
            "operations": [int(op.call) for op in found.shown],
            "needed": [int(op.call) for op in found.needed],
            "linearization": [int(op.call) for op in found.order],
            "stuck": None if found.blamed is None else int(found.blamed.call),
            "state": found.state.replace(NOT_TEXT, ""),
        },
    )


def _when(op: ForeignOperation) -> str:
    return f"at event {op.ended}" if op.ended_ns is None else f"at {wording.seconds(op.ended_ns)}"
