"""Lists the models for histories of other tools, and chooses the model of a history.

`model_of` infers the model from the functions of the operations. A user can also name the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from splitbrain.checkers.foreign.bank import check_bank
from splitbrain.checkers.foreign.conversion import Logged
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
from splitbrain.checkers.foreign.sessions import check_sessions
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.formats.jepsen_transactions import micro_operation_names


class LogChecker(Protocol):
    """A function that judges a log. Its verdict is unknown if it takes longer than `timeout_s`.

    Every object starts with the value `initial`, or empty if `initial` is None. Raises
    HistoryError for a value that the model does not allow.
    """

    def __call__(
        self, logged: Logged, timeout_s: float | None = None, *, initial: Any = None
    ) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class LogModel:
    """A kind of object, such as a register or a queue, whose operations a log can contain."""

    text: str
    """A description for messages."""
    functions: frozenset[str]
    """The functions of the operations."""
    checkers: Mapping[str, LogChecker]
    """The checkers by name."""


TRANSACTION_MODELS = {
    "list-append": ("append", "r"),
    "rw-register": ("w", "r"),
}
"""The models of transactions, with the functions of their micro-operations.
`splitbrain.checkers.transactions` judges them."""


class UnknownModel(ValueError):
    """Raised if the operations match no model, or if the named model does not exist."""


MODELS: dict[str, LogModel] = {
    "register": LogModel(
        "registers: read, write",
        frozenset(("read", "write")), {"linearizable": check_registers},
    ),
    "cas-register": LogModel(
        "registers: read, write, cas",
        frozenset(("read", "write", "cas")), {"linearizable": check_registers},
    ),
    "kv": LogModel(
        "strings: get, put, append",
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
        "unique ids: generate",
        frozenset(("generate",)), {"unique_ids": check_generated_ids},
    ),
    "bank": LogModel(
        "accounts: read, transfer", frozenset(("read", "transfer")), {"bank": check_bank},
    ),
    "monotonic": LogModel(
        "registers with one writer each: read, write",
        frozenset(("read", "write")), {"sessions": check_sessions},
    ),
    "queue": LogModel(
        "a queue: enqueue, dequeue, drain",
        frozenset(("enqueue", "dequeue", "drain")), {"queue": check_queues},
    ),
}


def model_of(logged: Logged) -> str:
    """Return the name of the model that matches the functions in a log. Raises UnknownModel."""
    functions = {op.f: None for op in logged}
    of_transactions = model_of_micro(micro_operation_names(logged))
    if of_transactions:
        return of_transactions
    if all(op.f == "txn" and op.argument == [] for op in logged):
        return next(iter(TRANSACTION_MODELS))
    for name, model in MODELS.items():
        if model.functions.issuperset(functions) and _looks_like(name, logged):
            return name
    raise UnknownModel(
        f"no model has all of the operations {', '.join(functions)}; "
        "expected those of one model, or --model with one of "
        f"{', '.join([*MODELS, *TRANSACTION_MODELS])}"
    )


def model_of_micro(names: Sequence[str]) -> str:
    """Return the name of the model whose transactions have the micro-operations `names`, or ""."""
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
    """Infer the model of a log from its functions, and run the model's first checker on the log."""
    checker = next(iter(MODELS[model_of(logged)].checkers.values()))
    return checker(logged, timeout_s)
