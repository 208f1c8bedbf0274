"""Reads and writes transactions as JSON Lines. The values of events are micro-operations.

    {"index":0,"time":0,"process":0,"type":"invoke","f":"txn","value":[["append","x",3],["r","y"]]}
    {"index":1,"time":9,"process":0,"type":"ok","f":"txn","value":[["append","x",3],["r","y",[1]]]}

A `fail` or `info` needs no value, because the invocation contains the writes of a failed or
uncertain transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.transaction import MicroOperation, Read, Transaction

BLOCK_BYTES = 1 << 20
Operations = tuple[MicroOperation, ...]


_NOTHING = msgspec.Raw(b"null")


class _Invoke(
    msgspec.Struct, gc=False, tag_field="type", tag="invoke", forbid_unknown_fields=True
):
    index: int
    process: int
    value: msgspec.Raw
    time: int = -1
    node: str = ""
    f: Literal["txn"] = "txn"


class _Ok(
    msgspec.Struct, gc=False, tag_field="type", tag="ok", forbid_unknown_fields=True
):
    index: int
    process: int
    value: Operations
    time: int = -1
    node: str = ""
    f: Literal["txn"] = "txn"


class _Fail(
    msgspec.Struct, gc=False, tag_field="type", tag="fail", forbid_unknown_fields=True
):
    index: int
    process: int
    time: int = -1
    node: str = ""
    f: Literal["txn"] = "txn"
    value: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING


class _Info(
    msgspec.Struct, gc=False, tag_field="type", tag="info", forbid_unknown_fields=True
):
    index: int
    process: int | Literal["nemesis"]
    time: int = -1
    node: str = ""
    f: str = "txn"
    value: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING


_Line = _Invoke | _Ok | _Fail | _Info


def is_transactions(first_line: bytes | str) -> bool:
    """Return whether a file with this first line is a history of transactions in JSON Lines."""
    try:
        event = msgspec.json.decode(first_line, type=_Line)
        return isinstance(event, _Invoke) and bool(
            msgspec.json.decode(event.value, type=Operations)
        )
    except msgspec.MsgspecError:
        return False


def read_transactions(path: Path) -> list[Transaction]:
    """Return the transactions of `path`, in the order of their invocations.

    A last line that a crash cut short is dropped. Raises HistoryError for a line that is not an
    event of this format. Also raises it for an event that does not fit the events before it, such
    as a completion without an invocation.
    """
    with collector_paused(), path.open("rb", buffering=0) as file:
        pairing = _Pairing()
        decoder = msgspec.json.Decoder(_Line)
        lines = 0
        for block in _blocks(file):
            try:
                pairing.add(decoder.decode_lines(block))
            except (msgspec.MsgspecError, HistoryError) as problem:
                raise _error_with_line(path, lines, block, problem) from problem
            lines += block.count(b"\n")
        try:
            return pairing.finish()
        except HistoryError as problem:
            raise HistoryError(f"{path}: {problem}") from problem


def write_transactions(path: Path, transactions: Iterable[Transaction]) -> None:
    """Write `transactions` to the file `path`, which `read_transactions` can read."""
    events: list[tuple[int, bytes]] = []
    for one in transactions:
        invocation = {"index": one.invoked, "process": one.process, "type": "invoke", "f": "txn"}
        value = msgspec.Raw(msgspec.json.encode(one.operations))
        events.append((one.invoked, _line({**invocation, "value": value}, one.call_ns, one.node)))
        if one.returned is not None or one.outcome == "ok":
            place = one.invoked if one.returned is None else one.returned
            completion = {**invocation, "index": place, "type": one.outcome}
            if one.outcome == "ok":
                completion["value"] = value
            ns = -1 if one.ended_ns is None else one.ended_ns
            events.append((place, _line(completion, ns, one.node)))
    events.sort(key=lambda event: event[0])
    with path.open("wb") as file:
        file.writelines(line for _, line in events)


def _line(event: dict[str, object], ns: int, node: str) -> bytes:
    if ns >= 0:
        event["time"] = ns
    if node:
        event["node"] = node
    return msgspec.json.encode(event) + b"\n"


class _Pairing:
    """Pairs the invocations of a file with their completions, block by block."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(Operations).decode
        self._transactions: list[Transaction | None] = []
        self._pending: dict[int, tuple[int, _Invoke]] = {}
        self._last = -1
        """The index of the last event."""

    def add(self, lines: Iterable[_Line]) -> None:
        transactions, pending, last = self._transactions, self._pending, self._last
        for line in lines:
            if line.index <= last:
                raise HistoryError(
                    f"event {line.index}: the index comes after {last}; expected indexes that "
                    "increase from line to line"
                )
            last = line.index
            if type(line) is _Invoke:
                if line.process in pending:
                    raise HistoryError(
                        f"event {line.index}: process {line.process} invokes while its "
                        f"transaction of event {pending[line.process][1].index} is still pending; "
                        "expected one transaction of a process at a time"
                    )
                pending[line.process] = (len(transactions), line)
                transactions.append(None)
                continue
            if line.process == "nemesis":
                continue
            found = pending.pop(line.process, None)
            if found is None:
                raise HistoryError(
                    f"event {line.index}: process {line.process} completes a transaction "
                    "without an invocation; expected an event of the type invoke before it"
                )
            place, invoke = found
            if type(line) is _Ok:
                self._check_same_operations(invoke, line)
                transactions[place] = Transaction(
                    process=line.process, outcome="ok", operations=line.value, invoked=invoke.index,
                    returned=line.index, call_ns=invoke.time, ended_ns=line.time, node=invoke.node,
                )
            else:
                transactions[place] = self._without_answer(invoke, line)
        self._last = last

    def _check_same_operations(self, invoke: _Invoke, line: _Ok) -> None:
        """Raise HistoryError unless `line` has the operations of the invocation in the same order.

        Only the values of reads may differ.
        """
        try:
            invoked = self._decode(invoke.value)
        except msgspec.MsgspecError as problem:
            raise _not_a_transaction(invoke, problem) from problem
        answered = line.value
        if invoked == answered:
            return
        for place, (one, other) in enumerate(zip_longest(invoked, answered), start=1):
            if one != other and not (
                type(one) is Read and type(other) is Read and one.key == other.key
            ):
                found = "missing" if other is None else msgspec.json.encode(other).decode()
                expected = "missing" if one is None else msgspec.json.encode(one).decode()
                raise HistoryError(
                    f"event {line.index}: micro-operation {place} of the completed transaction "
                    f"is {found}; expected {expected}, as in its invocation"
                )

    def _without_answer(self, invoke: _Invoke, line: _Line | None) -> Transaction:
        outcome: Literal["fail", "info"] = "fail" if type(line) is _Fail else "info"
        try:
            operations = self._decode(invoke.value)
        except msgspec.MsgspecError as problem:
            raise _not_a_transaction(invoke, problem) from problem
        return Transaction(
            process=invoke.process, outcome=outcome, operations=operations, invoked=invoke.index,
            returned=line.index if type(line) is _Fail else None, call_ns=invoke.time,
            ended_ns=line.time if line is not None else None, node=invoke.node,
        )

    def finish(self) -> list[Transaction]:
        for place, invoke in self._pending.values():
            self._transactions[place] = self._without_answer(invoke, None)
        return [one for one in self._transactions if one is not None]


def _not_a_transaction(invoke: _Invoke, problem: Exception) -> HistoryError:
    return HistoryError(
        f"event {invoke.index}: {bytes(invoke.value)[:200]!r} is not a transaction: "
        f'{problem}. Expected a value such as [["append","x",1],["r","y"]]'
    )


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield blocks of `file` that contain whole lines.

    A last line without a line end is part of the last block if it is valid JSON. Otherwise a crash
    cut the line short, and the line is dropped.
    """
    rest = b""
    while block := file.read(BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if not end:
            rest += block
            continue
        yield rest + block[:end]
        rest = block[end:]
    if rest:
        try:
            msgspec.json.decode(rest)
        except msgspec.MsgspecError:
            return
        yield rest


def _error_with_line(path: Path, before: int, block: bytes, problem: Exception) -> HistoryError:
    """Return the error `problem` with the number of the line in `block` that caused it.

    `before` is the number of lines of the file before the block.
    """
    if isinstance(problem, HistoryError):
        return HistoryError(f"{path}: {problem}")
    decoders = (msgspec.json.Decoder(_Line), msgspec.json.Decoder(Operations))
    for number, line in enumerate(block.splitlines(), start=before + 1):
        if not line.strip():
            continue
        try:
            event = decoders[0].decode(line)
            if isinstance(event, _Invoke):
                decoders[1].decode(event.value)
        except msgspec.MsgspecError as why:
            return HistoryError(
                f"{path}:{number}: not an event of a transaction: {why}. Expected a line such as "
                '{"index":0,"process":0,"type":"invoke","value":[["append","x",1],["r","y"]]}'
            )
    return HistoryError(f"{path}: {problem}")
