"""Formats transactions and their values for messages."""

from __future__ import annotations

from splitbrain.histories.transaction import Append, Element, Read, Transaction, Write

ELEMENTS_MAX = 8
OPERATIONS_MAX = 8


def value(held: tuple[Element, ...] | Element | None) -> str:
    """Format a value for a message: `[1 2 3]` for a list, `[… 7 8 9]` for a long list.

    The value of a register is formatted as it is.
    """
    if held is None:
        return "nothing"
    if not isinstance(held, tuple):
        return str(held)
    shown = " ".join(str(one) for one in held[-ELEMENTS_MAX:])
    return f"[… {shown}]" if len(held) > ELEMENTS_MAX else f"[{shown}]"


def operation(made: Append | Write | Read) -> str:
    """Format an operation: `append 3 to x`, `write x = 3`, `read x = [1 2 3]`."""
    match made:
        case Append(key, element):
            return f"append {element} to {key}"
        case Write(key, written):
            return f"write {key} = {written}"
        case Read(key, held):
            return f"read {key} = {value(held)}"


def operations(transaction: Transaction) -> str:
    """List the operations of a transaction, separated by commas."""
    made = [operation(one) for one in transaction.operations[:OPERATIONS_MAX]]
    more = ", …" if len(transaction.operations) > OPERATIONS_MAX else ""
    return ", ".join(made) + more


def who(transaction: Transaction) -> str:
    """Name a transaction: `process 3, events 4 and 9`."""
    if transaction.returned is None:
        return f"process {transaction.process}, event {transaction.invoked}"
    return (
        f"process {transaction.process}, events {transaction.invoked} and {transaction.returned}"
    )


def transaction(made: Transaction) -> str:
    """Describe a transaction: `process 3's transaction (append 3 to x, read y = [1])`."""
    return f"process {made.process}'s transaction ({operations(made)})"


def around_difference(held: tuple[Element, ...], other: tuple[Element, ...]) -> str:
    """Format the part of `held` around the first difference from `other`."""
    equal = 0
    while equal < min(len(held), len(other)) and held[equal] == other[equal]:
        equal += 1
    shown = [str(one) for one in held[max(0, equal - 3) : equal + 3]]
    before = ["…"] if equal > 3 else []
    after = ["…"] if len(held) > equal + 3 else []
    return f"[{' '.join([*before, *shown, *after])}]"
