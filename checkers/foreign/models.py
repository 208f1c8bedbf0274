"""Judging somebody else's history: `ForeignOperation`s as operations of a model.

What a model is of is told by the functions that the history names (`model_of`), or asked
for by name. Times in verdicts are those written down; events are places in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from splitbrain.checkers.foreign.linearizable import (
    check_key_values,
    check_mutexes,
    check_registers,
)
from splitbrain.checkers.foreign.objects import (
    check_counters,
    check_generated_ids,
    check_queues,
    check_sets,
)
from splitbrain.checkers.foreign.recorded_operation import Logged
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.formats.jepsen_transactions import micro_operation_names

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
























# --- sets --------------------------------------------------------------------------
















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
