"""Histories for others to judge: Jepsen's EDN, which Knossos and Elle read.

Somebody else's history is written as it was read. Of ours, operations on single keys
become those of registers (read, write, cas, with the key in front, as in Jepsen's
independent tests), those of a set its adds and reads, and lists their transactions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from splitbrain.checkers.linearizable.checker import NotApplicable, Undecidable, register_operations
from splitbrain.checkers.linearizable.store_register import Read, Swap, Write
from splitbrain.checkers.model.requests import must_be_recent, parts
from splitbrain.checkers.transactions.kv_transactions import LISTS, REGISTERS, transactions_of
from splitbrain.harness.errors import BadArguments
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.catalogue import OWN, TRANSACTIONS, format_of
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.formats.jepsen_edn import write_jepsen_edn
from splitbrain.histories.formats.transactions import read_transactions
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Put, Range, RangeResult
from splitbrain.histories.transaction import MicroOperation, Transaction
from splitbrain.histories.transaction import Read as ReadKey
from splitbrain.histories.transaction import Write as WriteKey

FORMATS = ("jepsen-edn",)


def export(path: Path, out: Path, form: str = "", keyed: bool | None = None) -> int:
    """Write the history in the file `path` to `out` as Jepsen's EDN; how many operations.

    Raises BadArguments for what is no history, or has operations that EDN's readers have
    no model for.
    """
    from splitbrain.harness.judging.history_file import read_file

    try:
        found = form or format_of(path)
        if found == TRANSACTIONS:
            operations = [foreign_transaction(one) for one in read_transactions(path)]
        elif found == OWN:
            operations = of_ours(History.read(path))
        else:
            operations = list(read_file(path, found, keyed))
    except (HistoryError, NotApplicable, Undecidable) as problem:
        raise BadArguments(f"{path} cannot be written as Jepsen's EDN: {problem}") from problem
    try:
        with out.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in write_jepsen_edn(operations))
    except OSError as problem:
        raise BadArguments(f"{out} cannot be written: {problem.strerror}") from problem
    return len(operations)


# --- transactions --------------------------------------------------------------------


def foreign_transaction(one: Transaction) -> ForeignOperation:
    """A transaction as Jepsen has it; what it read is unknown until it is answered."""
    asked = [_micro(made, answered=False) for made in one.operations]
    answer = [_micro(made, answered=True) for made in one.operations]
    ended = one.returned
    return ForeignOperation(
        one.process, "txn", "", asked, one.outcome, answer if one.outcome == "ok" else None,
        one.invoked, one.returned, ended, None if one.call_ns < 0 else one.call_ns,
        None if one.ended_ns is None or one.ended_ns < 0 else one.ended_ns, None,
        one.node or None,
    )


def _micro(made: MicroOperation, answered: bool) -> list[Any]:
    if isinstance(made, ReadKey):
        value = list(made.value) if isinstance(made.value, tuple) else made.value
        return [":r", made.key, value if answered else None]
    if isinstance(made, WriteKey):
        return [":w", made.key, made.value]
    return [":append", made.key, made.element]


# --- ours ------------------------------------------------------------------------------


def of_ours(history: History) -> list[ForeignOperation]:
    """A history of ours as one of a set, or of registers. Raises NotApplicable or
    Undecidable where it is neither."""
    functions = {op.f for op in history.operations}
    if LISTS in functions or REGISTERS in functions:
        transactions = transactions_of(history, lists=LISTS in functions)
        return [foreign_transaction(one) for one in _one_a_call(transactions)]
    if "add" in functions:
        return [made for op in history.operations if (made := _of_set(op)) is not None]
    return list(_of_registers(history))


def _one_a_call(transactions: list[Transaction]) -> list[Transaction]:
    """Without the other half of a transaction whose guard failed: what it did not write
    shares its events with what it read."""
    found: dict[int, Transaction] = {}
    for one in transactions:
        found.setdefault(one.invoked, one)
    return list(found.values())


def _of_set(op: Operation) -> ForeignOperation | None:
    """An add to the set that the key's folder is, or a read of such a whole folder; None for
    a read that shows less."""
    if op.f == "add":
        put = next((part for part in parts(op.request) if isinstance(part, Put)), None)
        if put is None:
            raise NotApplicable(f"event {op.invoked} adds nothing")
        folder, _, element = put.key.rpartition("/")
        return _logged(op, "add", folder, element, op.outcome, element)
    if not isinstance(op.request, Range):
        raise NotApplicable(f"event {op.invoked} neither adds to a set nor reads it")
    shown = op.result if isinstance(op.result, RangeResult) else RangeResult()
    whole = bool(op.request.range_end) and must_be_recent(op.request)
    if op.request.count_only or op.request.revision or shown.more or not whole:
        return None
    elements = [kv.key.rpartition("/")[2] for kv in shown.kvs]
    return _logged(op, "read", op.request.key.rstrip("/"), None, op.outcome, elements)


def _of_registers(history: History) -> Iterator[ForeignOperation]:
    """Each operation of a register; a range of several keys is left out, as no register's."""
    recorded = {op.invoked: op for op in history.operations}
    for made in register_operations(history):
        op = recorded[int(made.call)]
        known = made.ret != math.inf
        outcome = op.outcome if known else "info"
        match made.input:
            case Read(key):
                if isinstance(op.request, Range) and not op.request.range_end:
                    yield _logged(op, "read", key, None, "ok", made.output)
            case Write(key, value):
                yield _logged(op, "write", key, value, outcome, value)
            case Swap(key, expected, False, value):
                pair = [expected, value]
                failed = known and not made.output.swapped
                yield _logged(op, "cas", key, pair, "fail" if failed else outcome, pair)
            case Swap():
                raise NotApplicable(
                    f"event {op.invoked} writes if a key does not hold a value, which no model of "
                    "Knossos does"
                )


def _logged(
    op: Operation, f: str, key: str, argument: Any, outcome: Any, answer: Any
) -> ForeignOperation:
    return ForeignOperation(
        op.process, f, key, argument, outcome, answer if outcome == "ok" else None,
        op.invoked, op.returned if outcome != "info" else None, op.returned, op.call, op.ended,
        op.error, op.node,
    )
