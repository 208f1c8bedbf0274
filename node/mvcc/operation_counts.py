"""Counts the operations on a store since the member started."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class OperationCounts:
    """How many operations a store has executed.

    `transactions` counts the transactions with more than one operation, as etcd does. `put_bytes`
    is the size of the keys and values of all puts.
    """

    ranges: int = 0
    puts: int = 0
    put_bytes: int = 0
    deletes: int = 0
    transactions: int = 0
