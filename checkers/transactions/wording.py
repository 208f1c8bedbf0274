"""Transactions and their values as a person reads them."""

from __future__ import annotations

from splitbrain.histories.transaction import Append, Element, Read, Transaction, Write

ELEMENTS_MAX = 8
OPERATIONS_MAX = 8


def value(held: tuple[Element, ...] | Element | None) -> str:
    """`[1 2 3]`, of a long list its end: `[… 7 8 9]`; a register's value as it is."""
    if held is None:
        return "nothing"
    if not isinstance(held, tuple):
        return str(held)
    shown = " ".join(str(one) for one in held[-ELEMENTS_MAX:])
    return f"[… {shown}]" if len(held) > ELEMENTS_MAX else f"[{shown}]"


def operation(made: Append | Write | Read) -> str:
    match made:
        case Append(key, element):
            return f"append {element} to {key}"
        case Write(key, written):
            return f"write {key} = {written}"
        case Read(key, held):
            return f"read {key} = {value(held)}"


def operations(transaction: Transaction) -> str:
    made = [operation(one) for one in transaction.operations[:OPERATIONS_MAX]]
    more = ", …" if len(transaction.operations) > OPERATIONS_MAX else ""
    return ", ".join(made) + more


def who(transaction: Transaction) -> str:
    """`process 3, events 4 and 9`."""
    if transaction.returned is None:
        return f"process {transaction.process}, event {transaction.invoked}"
    return (
        f"process {transaction.process}, events {transaction.invoked} and {transaction.returned}"
    )


def transaction(made: Transaction) -> str:
    """`process 3's transaction (append 3 to x, read y = [1])`."""
    return f"process {made.process}'s transaction ({operations(made)})"
