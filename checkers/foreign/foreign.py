"""Judging somebody else's history: `ForeignOperation`s as operations of a model.

What a model is of is told by the functions that the history names (`model_of`), or asked
for by name. Times in verdicts are those written down; events are places in the file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.foreign.objects import check_counters, check_generated_ids, check_queues
from splitbrain.checkers.foreign.recorded_operation import element_text, recorded, times_of
from splitbrain.checkers.minimise.history_part import NoOrder, no_order
from splitbrain.checkers.objects.set_full import check_set_full
from splitbrain.checkers.porcupine import CheckResult, Model, Operation, check_operations_verbose
from splitbrain.checkers.porcupine.models import key_value, mutex
from splitbrain.checkers.porcupine.models import register as registers
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import ForeignOperation, frozen
from splitbrain.histories.formats.jepsen_transactions import micro_operation_names
from splitbrain.histories.history import History
from splitbrain.histories.history import Operation as Recorded
from splitbrain.histories.kv import Header, KeyValue, Put, PutResult, Range, RangeResult
from splitbrain.histories.transaction import Transaction

EXPLANATION_S_MAX = 10.0
"""How long the illegal partitions of a log may be made smaller, all together."""

Logged = Sequence[ForeignOperation]
LogChecker = Callable[[Logged, float | None], Verdict]


@dataclass(frozen=True, slots=True)
class LogModel:
    """What a log can be of: the names that its operations have, and who judges it."""

    says: str
    functions: frozenset[str]
    checkers: Mapping[str, LogChecker]


TRANSACTION_MODELS = {
    "list-append": ("append", "r"),
    "rw-register": ("w", "r"),
}
"""Models whose operations are transactions, and the micro-operations of each: judged by
`splitbrain.checkers.transactions`."""


class UnknownModel(ValueError):
    """Operations that no model has, or a model that there is not."""


# --- models of porcupine ---------------------------------------------------------


def register_operations(
    logged: Iterable[ForeignOperation], failed_swap_tells: bool = True
) -> list[Operation[registers.Input, registers.Value]]:
    """Reads, writes and compare-and-swaps. What certainly did not happen is left out.

    With `failed_swap_tells`, a compare-and-swap that failed happened, and found another
    value: so in porcupine's logs. Else it did not happen, as Knossos has it.
    """
    operations: list[Operation[registers.Input, registers.Value]] = []
    for op in logged:
        ret = math.inf if op.ret is None else op.ret
        made: registers.Input
        answer: registers.Value = None
        match op.f:
            case "read":
                if op.outcome != "ok":
                    continue
                made, answer = registers.Read(op.key), frozen(op.answer)
            case "write":
                if op.outcome == "fail":
                    continue
                made = registers.Write(op.key, frozen(op.argument))
            case "cas":
                if op.outcome == "fail" and not failed_swap_tells:
                    continue
                expected, value = _pair(op)
                made = registers.CompareAndSwap(op.key, expected, value)
                answer = None if op.outcome == "info" else op.outcome == "ok"
            case _:
                raise HistoryError(f"event {op.call}: {op.f!r} is not an operation of a register")
        operations.append(Operation(op.process, made, op.call, answer, ret))
    return operations


def _pair(op: ForeignOperation) -> tuple[Any, Any]:
    pair = frozen(op.argument)
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise HistoryError(
            f"event {op.call}: a cas of {op.argument!r}; expected [expected value, new value]"
        )
    return pair


def key_value_operations(
    logged: Iterable[ForeignOperation],
) -> list[Operation[key_value.Input, key_value.Output]]:
    """Gets, puts and appends; failed ones are left out, and gets without an answer."""
    operations: list[Operation[key_value.Input, key_value.Output]] = []
    for op in logged:
        if op.outcome == "fail" or (op.f == "get" and op.outcome != "ok"):
            continue
        made: key_value.Input
        answer: key_value.Output = None
        match op.f:
            case "get":
                made, answer = key_value.Get(op.key), _text(op, op.answer or "")
            case "put":
                made = key_value.Put(op.key, _text(op, op.argument))
            case "append":
                made = key_value.Append(op.key, _text(op, op.argument))
            case _:
                raise HistoryError(
                    f"event {op.call}: {op.f!r} is not an operation of a key-value store"
                )
        ret = math.inf if op.ret is None else op.ret
        operations.append(Operation(op.process, made, op.call, answer, ret))
    return operations


def _text(op: ForeignOperation, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise HistoryError(f"event {op.call}: {op.f} of {value!r}; expected a text")


def mutex_operations(logged: Iterable[ForeignOperation]) -> list[Operation[mutex.Input, None]]:
    """Acquires and releases; those that failed are left out."""
    operations: list[Operation[mutex.Input, None]] = []
    for op in logged:
        if op.outcome != "fail":
            made = mutex.Acquire(op.key) if op.f == "acquire" else mutex.Release(op.key)
            ret = math.inf if op.ret is None else op.ret
            operations.append(Operation(op.process, made, op.call, None, ret))
    return operations


def check_registers(
    logged: Logged, timeout_s: float | None = None, failed_swap_tells: bool = False
) -> Verdict:
    """Each key is a linearizable register: read, write and compare-and-swap."""
    operations = register_operations(logged, failed_swap_tells)
    return _linearizable(registers.register(), operations, logged, timeout_s)


def check_key_values(logged: Logged, timeout_s: float | None = None) -> Verdict:
    """Each key is a linearizable text: get, put and append."""
    return _linearizable(key_value.key_value(), key_value_operations(logged), logged, timeout_s)


def check_mutexes(logged: Logged, timeout_s: float | None = None) -> Verdict:
    """Each key is a lock that one holds at a time."""
    return _linearizable(mutex.mutex(), mutex_operations(logged), logged, timeout_s)


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
    def say(op: Operation[Any, Any]) -> str:
        said = model.describe_operation(op.input, op.output)
        return said.replace("  ", " ", 1) if op.input.key == "" else said

    because = (
        f"no order explains {wording.together(len(found.needed))} "
        f"({'; '.join(say(op) for op in found.needed[:8])}"
        f"{'; …' * (len(found.needed) > 8)}), whichever of the others happened"
    )
    stuck = found.stuck
    if stuck is not None:
        who = by_call[int(stuck.call)]
        after = "at first"
        if found.order:
            after = f"after {'; '.join(say(op) for op in found.order[-3:])}"
        because += (
            f". Process {who.process}'s {say(stuck)}, which ended {_when(who)}, does not fit: "
            f"{after} the state is {found.state}"
        )
    return Anomaly(
        "not linearizable",
        because,
        tuple(sorted(int(at) for op in found.needed for at in (op.call, op.ret)
                     if at != math.inf)),
        detail={
            "operations": [int(op.call) for op in found.needed],
            "linearization": [int(op.call) for op in found.order],
            "stuck": None if stuck is None else int(stuck.call),
            "state": found.state,
        },
    )


def _when(op: ForeignOperation) -> str:
    return f"at event {op.ended}" if op.ended_ns is None else f"at {wording.seconds(op.ended_ns)}"


# --- sets --------------------------------------------------------------------------


def check_sets(logged: Logged, timeout_s: float | None = None) -> Verdict:
    """Elements added to each set: none lost, stale, duplicated or unexpected."""
    by_key: dict[Any, list[ForeignOperation]] = {}
    for op in logged:
        by_key.setdefault(op.key, []).append(op)
    verdicts = [(key, check_set_full(Evidence(_set_history(own)))) for key, own in by_key.items()]
    valids = [verdict.valid for _, verdict in verdicts]
    counts: dict[str, Any] = {}
    anomalies: list[Anomaly] = []
    for key, verdict in verdicts:
        of = f"set {key}: " if len(verdicts) > 1 else ""
        for name, count in verdict.counts.items():
            counts[name] = counts.get(name, 0) + count
        anomalies += [
            msgspec.structs.replace(one, because=of + one.because) for one in verdict.anomalies
        ]
    valid = False if False in valids else None if None in valids else True
    why = "; ".join(dict.fromkeys(verdict.why for _, verdict in verdicts if verdict.why))
    return Verdict("set_full", valid, tuple(anomalies), counts, why)


def _set_history(logged: Logged) -> History:
    """The log as one of keys: an element is a key, a read a range over all of them."""
    return History((), tuple(_set_operation(op) for op in logged), ())


def _set_operation(op: ForeignOperation) -> Recorded:
    asked: Put | Range
    said: PutResult | RangeResult | None = None
    header = Header(revision=1)
    if op.f == "add":
        asked = Put(element_text(op.argument))
        said = PutResult(header)
    else:
        asked = Range("", "\0")
        if op.outcome == "ok":
            if not isinstance(op.answer, list):
                raise HistoryError(
                    f"event {op.ended}: the read of a set answered {op.answer!r}; expected the "
                    "elements, as a list or a set"
                )
            kvs = tuple(KeyValue(element_text(one)) for one in op.answer)
            said = RangeResult(header, kvs, len(kvs))
    return recorded(op, asked, said)


def has_times(logged: Logged) -> bool:
    return any(op.call_ns for op in logged)


def timed_history(logged: Logged) -> History:
    """The times and outcomes of a log, without its values: for statistics and budgets."""
    if not has_times(logged):
        return History((), (), ())
    return History((), tuple(
        Recorded(
            op.process, op.f, op.node, op.outcome, NOTHING, None, op.error, op.call, op.ended,
            begun, None if op.outcome == "info" else end, end,
        )
        for op in logged
        for begun, end in (times_of(op),)
    ), ())


def timed_transactions(transactions: Sequence[Transaction]) -> History:
    """The same of transactions; () without times."""
    if not any(one.call_ns > 0 for one in transactions):
        return History((), (), ())
    return History((), tuple([
        Recorded(
            one.process, "txn", one.node or None, one.outcome, NOTHING, None, None, one.invoked,
            one.returned, one.call_ns, None if one.outcome == "info" else one.ended_ns,
            one.ended_ns,
        )
        for one in transactions
    ]), ())


NOTHING = Put("")


# --- which model -------------------------------------------------------------------

MODELS: dict[str, LogModel] = {
    "register": LogModel(
        "a register or several: read, write",
        frozenset(("read", "write")), {"linearizable": check_registers},
    ),
    "cas-register": LogModel(
        "a register or several: read, write, cas",
        frozenset(("read", "write", "cas")), {"linearizable": check_registers},
    ),
    "kv": LogModel(
        "texts by key: get, put, append",
        frozenset(("get", "put", "append")), {"linearizable": check_key_values},
    ),
    "mutex": LogModel(
        "a lock: acquire, release",
        frozenset(("acquire", "release")), {"linearizable": check_mutexes},
    ),
    "set": LogModel(
        "a set: add, read", frozenset(("add", "read")), {"set_full": check_sets},
    ),
    "counter": LogModel(
        "a counter: add, read of a number",
        frozenset(("add", "read")), {"counter": check_counters},
    ),
    "unique-ids": LogModel(
        "ids that are handed out: generate",
        frozenset(("generate",)), {"unique_ids": check_generated_ids},
    ),
    "queue": LogModel(
        "a queue: enqueue, dequeue, drain",
        frozenset(("enqueue", "dequeue", "drain")), {"queue": check_queues},
    ),
}


def model_of(logged: Logged) -> str:
    """The name of the model that a log is of, by its functions. Raises UnknownModel."""
    functions = {op.f: None for op in logged}
    of_transactions = model_of_micro(micro_operation_names(logged))
    if of_transactions:
        return of_transactions
    for name, model in MODELS.items():
        if model.functions.issuperset(functions) and _looks_like(name, logged):
            return name
    raise UnknownModel(
        f"operations {', '.join(functions)} are of no model that is told by them; "
        f"--model names one: {', '.join([*MODELS, *TRANSACTION_MODELS])}"
    )


def model_of_micro(names: Sequence[str]) -> str:
    """The name of the model whose micro-operations `names` are; "" if there is none."""
    for name, known in TRANSACTION_MODELS.items():
        if names and set(known).issuperset(names):
            return name
    return ""


def _looks_like(name: str, logged: Logged) -> bool:
    if name != "set":
        return True
    answers = [op.answer for op in logged if op.f == "read" and op.outcome == "ok"]
    return not answers or isinstance(answers[0], list)


def check_log(logged: Logged, timeout_s: float | None = None) -> Verdict:
    """The verdict of the first checker of the model that a log is of."""
    checker = next(iter(MODELS[model_of(logged)].checkers.values()))
    return checker(logged, timeout_s)
