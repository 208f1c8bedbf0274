"""Exports histories as Jepsen's EDN, which Knossos and Elle read.

A history that another tool recorded is written unchanged. In a history of this project, operations
on single keys become operations of registers: read, write and cas, with values [key value] as in
Jepsen's independent tests. Operations on a set become adds and reads of a set. Operations of the
workloads `append` and `wr` become transactions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from splitbrain.checkers.linearizable.checker import NotApplicable, Undecidable, register_operations
from splitbrain.checkers.linearizable.store_register import Read, Swap, Write
from splitbrain.checkers.model.request_parts import must_be_recent, parts
from splitbrain.checkers.transactions.kv_transactions import LISTS, REGISTERS, transactions_of
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.operations_outside_load import FINAL_WRITE
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.detection import OWN, TRANSACTIONS, format_of
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
    """Write the history in the file `path` to `out` as Jepsen's EDN.

    Returns the number of operations. `form` is the format of the file; "" means that it is detected
    from the content. `keyed` says whether the values are pairs [key, value]; None means that this
    is inferred from the values. Raises BadArguments if `path` is not a history, if it contains
    operations for which Knossos and Elle have no model, or if `out` cannot be written.
    """
    from splitbrain.harness.judging.history_file import read_file

    try:
        found = form or format_of(path)
        if found == TRANSACTIONS:
            operations = [foreign_transaction(one) for one in read_transactions(path)]
        elif found == OWN:
            operations = foreign_operations(History.read(path))
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
    """Convert a transaction to Jepsen's form, in which reads have the value nil when invoked."""
    argument = [_micro(micro, with_reads=False) for micro in one.operations]
    answer = [_micro(micro, with_reads=True) for micro in one.operations]
    ended = one.returned
    return ForeignOperation(
        process=one.process, f="txn", key="", argument=argument, outcome=one.outcome,
        answer=answer if one.outcome == "ok" else None, call=one.invoked, ret=one.returned,
        ended=ended, call_ns=None if one.call_ns < 0 else one.call_ns,
        ended_ns=None if one.ended_ns is None or one.ended_ns < 0 else one.ended_ns, error=None,
        node=one.node or None,
    )


def _micro(micro: MicroOperation, with_reads: bool) -> list[Any]:
    if isinstance(micro, ReadKey):
        value = list(micro.value) if isinstance(micro.value, tuple) else micro.value
        return [":r", micro.key, value if with_reads else None]
    if isinstance(micro, WriteKey):
        return [":w", micro.key, micro.value]
    return [":append", micro.key, micro.element]


# --- histories of our own --------------------------------------------------------------


def foreign_operations(history: History) -> list[ForeignOperation]:
    """Convert the operations of a history of this project to Jepsen's form.

    Operations of the workloads `append` and `wr` become transactions. Operations of the workload
    `set` become operations of sets. Operations of all other workloads become operations of
    registers. Raises NotApplicable or Undecidable for an operation that has no equivalent.
    """
    functions = {op.f for op in history.operations}
    if LISTS in functions or REGISTERS in functions:
        transactions = transactions_of(history, lists=LISTS in functions)
        return [foreign_transaction(one) for one in _one_for_each_call(transactions)]
    if "add" in functions:
        found = [_set_operation(op) for op in history.operations]
        return [one for one in found if one is not None]
    return list(_register_operations(history))


def _one_for_each_call(transactions: list[Transaction]) -> list[Transaction]:
    """Keep only the first transaction of each request.

    If the comparisons of a request failed, `transactions_of` returns two transactions for it. The
    first one contains the reads that were answered, and is kept. The second one contains the
    writes, which did not take effect.
    """
    first: dict[int, Transaction] = {}
    for one in transactions:
        first.setdefault(one.invoked, one)
    return list(first.values())


def _set_operation(op: Operation) -> ForeignOperation | None:
    """Convert `op` to an add to a set, or to a read of a whole set.

    Returns None for the write at the end of a run, and for a read that is serializable, counts
    keys, or covers only a part of the set. In a key, the name of the set is before the last "/",
    and the element is after it.
    """
    if op.f == "add":
        put = next((part for part in parts(op.request) if isinstance(part, Put)), None)
        if put is None:
            raise NotApplicable(f"event {op.invoked} is an add without a put")
        folder, _, element = put.key.rpartition("/")
        return _foreign(op, "add", folder, element, op.outcome, element)
    if op.f == FINAL_WRITE:
        return None
    if not isinstance(op.request, Range):
        raise NotApplicable(f"event {op.invoked} is neither an add nor a read of a set")
    result = op.result if isinstance(op.result, RangeResult) else RangeResult()
    whole = bool(op.request.range_end) and must_be_recent(op.request)
    if op.request.count_only or op.request.revision or result.more or not whole:
        return None
    elements = [kv.key.rpartition("/")[2] for kv in result.kvs]
    return _foreign(op, "read", op.request.key.rstrip("/"), None, op.outcome, elements)


def _register_operations(history: History) -> Iterator[ForeignOperation]:
    """Convert operations on single keys to operations of registers.

    A read of several keys is left out.
    """
    recorded = {op.invoked: op for op in history.operations}
    for one in register_operations(history):
        op = recorded[int(one.call)]
        known = one.ret != math.inf
        outcome = op.outcome if known else "info"
        match one.input:
            case Read(key):
                if isinstance(op.request, Range) and not op.request.range_end:
                    yield _foreign(op, "read", key, None, "ok", one.output)
            case Write(key, value):
                yield _foreign(op, "write", key, value, outcome, value)
            case Swap(key, expected, False, value):
                pair = [expected, value]
                failed = known and not one.output.swapped
                yield _foreign(op, "cas", key, pair, "fail" if failed else outcome, pair)
            case Swap():
                raise NotApplicable(
                    f"event {op.invoked} is a swap that happens if the key does not have a value; "
                    "Knossos has no model for it"
                )


def _foreign(
    op: Operation, f: str, key: str, argument: Any, outcome: Any, answer: Any
) -> ForeignOperation:
    return ForeignOperation(
        process=op.process, f=f, key=key, argument=argument, outcome=outcome,
        answer=answer if outcome == "ok" else None, call=op.invoked,
        ret=op.returned if outcome != "info" else None, ended=op.returned, call_ns=op.call,
        ended_ns=op.ended, error=op.error, node=op.node,
    )
