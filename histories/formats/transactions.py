"""Transactions as JSON Lines: events as in a history of ours, whose values are micro-operations.

    {"index":0,"time":0,"process":0,"type":"invoke","f":"txn","value":[["append","x",3],["r","y"]]}
    {"index":1,"time":9,"process":0,"type":"ok","f":"txn","value":[["append","x",3],["r","y",[1]]]}

A `fail` or `info` needs no value. Only invocations say what a failed or uncertain
transaction would have written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.transaction import MicroOperation, Transaction

BLOCK_BYTES = 1 << 20
Operations = tuple[MicroOperation, ...]


class _Invoke(msgspec.Struct, gc=False, tag_field="type", tag="invoke"):
    index: int
    process: int
    value: msgspec.Raw
    time: int = -1
    node: str = ""


class _Ok(msgspec.Struct, gc=False, tag_field="type", tag="ok"):
    index: int
    process: int
    value: Operations
    time: int = -1


class _Fail(msgspec.Struct, gc=False, tag_field="type", tag="fail"):
    index: int
    process: int
    time: int = -1


class _Info(msgspec.Struct, gc=False, tag_field="type", tag="info"):
    index: int
    process: int | Literal["nemesis"]
    time: int = -1


_Line = _Invoke | _Ok | _Fail | _Info


def is_transactions(first_line: bytes | str) -> bool:
    """Whether a file that begins with this line is one."""
    try:
        event = msgspec.json.decode(first_line, type=_Line)
        return isinstance(event, _Invoke) and bool(
            msgspec.json.decode(event.value, type=Operations)
        )
    except msgspec.MsgspecError:
        return False


def read_transactions(path: Path) -> list[Transaction]:
    """The transactions of `path`, in the order of their invocations.

    A last line cut short by a crash is dropped. Raises HistoryError with the line that is
    no such event, or ends what was not begun.
    """
    with collector_paused(), path.open("rb", buffering=0) as file:
        pairing = _Pairing()
        decoder = msgspec.json.Decoder(_Line)
        lines = 0
        for block in _blocks(file):
            try:
                pairing.take(decoder.decode_lines(block))
            except (msgspec.MsgspecError, HistoryError) as problem:
                raise _blame(path, lines, block, problem) from problem
            lines += block.count(b"\n")
        try:
            return pairing.finish()
        except HistoryError as problem:
            raise HistoryError(f"{path}: {problem}") from problem


def write_transactions(path: Path, transactions: Iterable[Transaction]) -> None:
    """`transactions` as such a file, which `read_transactions` reads back."""
    ends: list[tuple[int, bytes]] = []
    for one in transactions:
        begun = {"index": one.invoked, "process": one.process, "type": "invoke", "f": "txn"}
        value = msgspec.Raw(msgspec.json.encode(one.operations))
        ends.append((one.invoked, _line({**begun, "value": value}, one.call_ns, one.node)))
        if one.returned is not None or one.outcome == "ok":
            place = one.invoked if one.returned is None else one.returned
            ended = {**begun, "index": place, "type": one.outcome}
            if one.outcome == "ok":
                ended["value"] = value
            ns = -1 if one.ended_ns is None else one.ended_ns
            ends.append((place, _line(ended, ns, one.node)))
    ends.sort(key=lambda end: end[0])
    with path.open("wb") as file:
        file.writelines(line for _, line in ends)


def _line(event: dict[str, object], ns: int, node: str) -> bytes:
    if ns >= 0:
        event["time"] = ns
    if node:
        event["node"] = node
    return msgspec.json.encode(event) + b"\n"


class _Pairing:
    """Invocations met by what became of them."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(Operations).decode
        self._made: list[Transaction | None] = []
        self._pending: dict[int, tuple[int, _Invoke]] = {}

    def take(self, lines: Iterable[_Line]) -> None:
        made, pending = self._made, self._pending
        for line in lines:
            if type(line) is _Invoke:
                if line.process in pending:
                    raise HistoryError(
                        f"event {line.index}: process {line.process} invokes while its "
                        "transaction of event "
                        f"{pending[line.process][1].index} is still under way"
                    )
                pending[line.process] = (len(made), line)
                made.append(None)
                continue
            if line.process == "nemesis":
                continue
            begun = pending.pop(line.process, None)
            if begun is None:
                raise HistoryError(
                    f"event {line.index}: process {line.process} ends a transaction that it has "
                    "not begun"
                )
            place, invoke = begun
            if type(line) is _Ok:
                made[place] = Transaction(
                    line.process, "ok", line.value, invoke.index, line.index, invoke.time,
                    line.time, invoke.node,
                )
            else:
                made[place] = self._unanswered(invoke, line)

    def _unanswered(self, invoke: _Invoke, line: _Line | None) -> Transaction:
        outcome: Literal["fail", "info"] = "fail" if type(line) is _Fail else "info"
        try:
            operations = self._decode(invoke.value)
        except msgspec.MsgspecError as problem:
            raise HistoryError(
                f"event {invoke.index}: {bytes(invoke.value)[:200]!r} is no transaction: "
                f'{problem}. Expected such as [["append","x",1],["r","y"]]'
            ) from problem
        return Transaction(
            invoke.process, outcome, operations, invoke.index,
            line.index if type(line) is _Fail else None, invoke.time,
            line.time if line is not None else None, invoke.node,
        )

    def finish(self) -> list[Transaction]:
        for place, invoke in self._pending.values():
            self._made[place] = self._unanswered(invoke, None)
        return [one for one in self._made if one is not None]


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines. A last one without an end counts if it is JSON, and not if it was cut."""
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


def _blame(path: Path, before: int, block: bytes, problem: Exception) -> HistoryError:
    """Which line of `block` is wrong, and why."""
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
                f"{path}:{number}: no event of a transaction: {why}. Expected such as "
                '{"index":0,"process":0,"type":"invoke","value":[["append","x",1],["r","y"]]}'
            )
    return HistoryError(f"{path}: {problem}")
