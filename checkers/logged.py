"""Judging somebody else's log: `LoggedOperation`s as operations of porcupine's models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from checkers.porcupine import CheckResult, Model, Operation, check_operations_verbose
from checkers.porcupine.models import key_value
from checkers.porcupine.models import register as registers
from checkers.verdict import Anomaly, Verdict
from histories.formats.logged import LoggedOperation


def register_operations(
    logged: Iterable[LoggedOperation],
) -> list[Operation[registers.Input, registers.Value]]:
    """Reads, writes and compare-and-swaps. What certainly did not happen is left out; a
    compare-and-swap that failed happened, and found another value."""
    operations: list[Operation[registers.Input, registers.Value]] = []
    for op in logged:
        ret = math.inf if op.ret is None else op.ret
        made: registers.Input
        answer: registers.Value = None
        match op.f:
            case "read":
                if op.outcome != "ok":
                    continue
                made, answer = registers.Read(op.key), op.answer
            case "write":
                if op.outcome == "fail":
                    continue
                made = registers.Write(op.key, op.argument)
            case "cas":
                made = registers.CompareAndSwap(op.key, *op.argument)
                answer = None if op.outcome == "info" else op.outcome == "ok"
            case _:
                raise ValueError(f"{op.f!r} is not an operation of a register")
        operations.append(Operation(op.process, made, op.call, answer, ret))
    return operations


def key_value_operations(
    logged: Iterable[LoggedOperation],
) -> list[Operation[key_value.Input, key_value.Output]]:
    """Gets, puts and appends; failed ones are left out, and gets without an answer."""
    operations: list[Operation[key_value.Input, key_value.Output]] = []
    for op in logged:
        if op.outcome == "fail" or (op.f == "get" and op.outcome != "ok"):
            continue
        made: key_value.Input
        match op.f:
            case "get":
                made = key_value.Get(op.key)
            case "put":
                made = key_value.Put(op.key, op.argument)
            case "append":
                made = key_value.Append(op.key, op.argument)
            case _:
                raise ValueError(f"{op.f!r} is not an operation of a key-value log")
        ret = math.inf if op.ret is None else op.ret
        operations.append(Operation(op.process, made, op.call, op.answer, ret))
    return operations


def check_log(logged: Sequence[LoggedOperation], timeout_s: float | None = None) -> Verdict:
    """Whether a log is linearizable, as registers or as a key-value store, by its operations."""
    if all(op.f in ("read", "write", "cas") for op in logged):
        return _verdict(registers.register(), register_operations(logged), timeout_s)
    return _verdict(key_value.key_value(), key_value_operations(logged), timeout_s)


def _verdict(
    model: Model[Any, Any, Any], operations: list[Operation[Any, Any]], timeout_s: float | None
) -> Verdict:
    result, info = check_operations_verbose(model, operations, timeout_s)
    counts = {"operations": len(operations), "partitions": len(info.partitions)}
    if result is CheckResult.OK:
        return Verdict("linearizable", True, counts=counts)
    if result is CheckResult.UNKNOWN:
        return Verdict("linearizable", None, counts=counts, why=info.why)
    anomalies = []
    for part in info.partitions:
        if part.result is CheckResult.ILLEGAL:
            longest = part.partials[0] if part.partials else ()
            because = (
                f"no order of these {len(part.operations)} operations explains all answers; the "
                f"longest that does explains {len(longest)} of them"
            )
            lines = sorted(int(op.call) for op in part.operations)
            anomalies.append(
                Anomaly("not linearizable", because, detail={"lines": lines})
            )
    return Verdict("linearizable", False, tuple(anomalies), counts)
