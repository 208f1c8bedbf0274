"""Defines transactions of micro-operations, which the checkers of dependency cycles judge.

    ["append", "x", 3]        appends 3 to the list x
    ["r", "x", [1, 2, 3]]     reads the list x; [] or null if it does not exist
    ["w", "x", 7]             writes 7 to the register x
    ["r", "x", 7]             reads the register x; null if it does not exist

Each value is appended or written to a key only once in a history, so that the writer of every value
that was read is known. In JSON, a micro-operation is an array as above. The value of an event is
the array of a transaction's micro-operations in their order
(`splitbrain.histories.formats.transactions`).

Source: the transactions of Jepsen's list-append and rw-register tests (`jepsen.txn`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Key = int | str
Element = int | str


class Append(
    msgspec.Struct, frozen=True, gc=False, array_like=True, tag="append", forbid_unknown_fields=True
):
    """Appends `element` to the end of the list `key`."""

    key: Key
    element: Element


class Write(
    msgspec.Struct, frozen=True, gc=False, array_like=True, tag="w", forbid_unknown_fields=True
):
    """Writes `value` to the register `key`."""

    key: Key
    value: Element


class Read(
    msgspec.Struct, frozen=True, gc=False, array_like=True, tag="r", forbid_unknown_fields=True
):
    """Reads `value` from `key`: a list as a tuple, or the value of a register.

    An absent register is None, and an absent list is None or (). In a transaction that is not `ok`,
    the value has no meaning.
    """

    key: Key
    value: tuple[Element, ...] | Element | None = None


MicroOperation = Append | Write | Read


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """One transaction of one client.

    `invoked` and `returned` are the indexes of its events. Only the indexes define the order in
    real time. Their meaning depends on the outcome:

    - `ok`: the transaction took effect between `invoked` and `returned`. If `returned` is None, it
      took effect at an unknown time after `invoked`.
    - `info`: `returned` is None. The transaction may have taken effect at any time after `invoked`,
      or never.
    - `fail`: the transaction certainly did not take effect.

    `call_ns` and `ended_ns` are times in ns since the start of the run, and are used only in
    messages. `call_ns` is -1 if the time is unknown.
    """

    process: int
    outcome: Literal["ok", "fail", "info"]
    operations: tuple[MicroOperation, ...]
    invoked: int
    returned: int | None = None
    call_ns: int = -1
    ended_ns: int | None = None
    node: str = ""
    """The member that received the request; "" if unknown."""
