"""Transactions of reads and writes, as checkers of cycles judge them.

    ["append", "x", 3]        3 was appended to the list x
    ["r", "x", [1, 2, 3]]     the list x was read; [] or null where it was not there
    ["w", "x", 7]             7 was written to the register x
    ["r", "x", 7]             the register x was read; null where it was not there

Each value is appended, or written, to a key once in a history: who wrote what was read
is then known. As JSON a micro-operation is such an array, and a transaction the array of
its micro-operations in their order: the value of an event
(`splitbrain.histories.formats.transactions`).

Source: the transactions of Jepsen's list-append and rw-register tests (`jepsen.txn`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Key = int | str
Element = int | str


class Append(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="append"):
    """`element` was put at the end of the list `key`."""

    key: Key
    element: Element


class Write(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="w"):
    """`value` took the place of what the register `key` held."""

    key: Key
    value: Element


class Read(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="r"):
    """`key` held `value`: a list as a tuple, a register's value, or None where nothing was.

    In a transaction that is not `ok` the value is None and says nothing.
    """

    key: Key
    value: tuple[Element, ...] | Element | None = None


MicroOperation = Append | Write | Read


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """One transaction of one client.

    `invoked` and `returned` are the indexes of its events: they alone say what came before
    what in real time. `returned` is None where it is not known to have ended, as for
    every `info`: it may have taken effect at any time after its invocation, or never.
    An `ok` without `returned` did take effect, nobody knows when. One that `fail`ed
    certainly did not. `call_ns` and `ended_ns` are times since the start of the run, for
    messages. `call_ns` -1: not known.
    """

    process: int
    outcome: Literal["ok", "fail", "info"]
    operations: tuple[MicroOperation, ...]
    invoked: int
    returned: int | None = None
    call_ns: int = -1
    ended_ns: int | None = None
    node: str = ""
    """The member that was asked, "" where that is not known."""
