"""Corrupts valid histories of transactions over lists, in ways that a checker must find.

A corruption is applied once. It imitates a bug of a store and produces one anomaly, which has the
name that Adya or Elle gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import msgspec

from splitbrain.histories.random_stream import stream
from splitbrain.histories.transaction import Append, Key, MicroOperation, Read, Transaction

Corrupt = Callable[[list[Transaction], Random], bool]
"""A function that corrupts a history over lists in place. It returns False if there is no suitable
place."""


def corrupt_append(
    transactions: list[Transaction], kind: str, seed: int = 0
) -> list[Transaction] | None:
    """Return a copy of `transactions` over lists with the corruption `kind`.

    `kind` is a name in `APPEND_CORRUPTIONS`. Returns None if the history has no suitable place.
    """
    corrupted = list(transactions)
    corrupt = APPEND_CORRUPTIONS[kind][1]
    # The label "spoil" is an old name. It must stay, because another label would change every
    # random value.
    return corrupted if corrupt(corrupted, stream(seed, "spoil", kind)) else None


def _inserted(*groups: tuple[tuple[MicroOperation, ...], ...]) -> Corrupt:
    """Return a corruption that inserts `groups` of transactions at a random place.

    A transaction is given as a tuple of micro-operations, whose keys must not occur in the history.
    The transactions of one group run concurrently. The groups run one after another.
    """

    def insert(transactions: list[Transaction], random: Random) -> bool:
        place = random.randrange(len(transactions) + 1)
        last = transactions[-1] if transactions else None
        at = transactions[place].invoked if place < len(transactions) else _after(transactions)
        ns = last.call_ns if last is not None else 0
        ns = transactions[place].call_ns if place < len(transactions) else ns
        process = 1 + max((one.process for one in transactions), default=-1)
        more = 2 * sum(len(group) for group in groups)
        for number, one in enumerate(transactions):
            transactions[number] = msgspec.structs.replace(
                one,
                invoked=one.invoked + (more if one.invoked >= at else 0),
                returned=None if one.returned is None
                else one.returned + (more if one.returned >= at else 0),
            )
        inserted = []
        for group in groups:
            for number, operations in enumerate(group):
                inserted.append(Transaction(
                    process=process, outcome="ok", operations=operations, invoked=at + number,
                    returned=at + len(group) + number, call_ns=ns, ended_ns=ns,
                ))
                process += 1
            at += 2 * len(group)
        transactions[place:place] = inserted
        return True

    return insert


def _after(transactions: list[Transaction]) -> int:
    ends = [one.returned for one in transactions if one.returned is not None]
    return 1 + max([*ends, *(one.invoked for one in transactions)], default=-1)


def _reads(
    transactions: list[Transaction], elements_min: int
) -> list[tuple[int, int, Key, tuple[Any, ...]]]:
    """Return the reads of at least `elements_min` elements, as candidates for a corruption.

    A read is left out if its transaction uses the key again. Each read is a tuple: the index of the
    transaction, the index of the micro-operation in the transaction, the key, and the elements.
    """
    found = []
    for place, one in enumerate(transactions):
        if one.outcome == "ok":
            keys = [micro.key for micro in one.operations]
            for number, micro in enumerate(one.operations):
                elements = micro.value if isinstance(micro, Read) else None
                if not isinstance(elements, tuple) or len(elements) < elements_min:
                    continue
                if keys.count(micro.key) == 1:
                    found.append((place, number, micro.key, elements))
    return found


def _replace(
    transactions: list[Transaction], place: int, number: int, elements: tuple[Any, ...]
) -> None:
    operations = list(transactions[place].operations)
    operations[number] = Read(operations[number].key, elements)
    transactions[place] = msgspec.structs.replace(transactions[place], operations=tuple(operations))


def _writers(transactions: list[Transaction]) -> dict[tuple[Key, Any], int]:
    return {
        (micro.key, micro.element): place
        for place, one in enumerate(transactions)
        for micro in one.operations if isinstance(micro, Append)
    }


def _stale_read(transactions: list[Transaction], random: Random) -> bool:
    """Let a read miss elements of a transaction that ended before the read began.

    Returns False if there is no such read.
    """
    writers = _writers(transactions)
    reads = _reads(transactions, 1)
    random.shuffle(reads)
    for place, number, key, elements in reads:
        writer = transactions[writers[key, elements[-1]]]
        reader = transactions[place]
        if writer.returned is not None and writer.returned < reader.invoked:
            run = [one.element for one in writer.operations
                   if isinstance(one, Append) and one.key == key]
            _replace(transactions, place, number, elements[: -len(run)])
            return True
    return False


def _aborted_read(transactions: list[Transaction], random: Random) -> bool:
    """Change the outcome of a transaction to `fail` although another one has read its append.

    Returns False if there is no such transaction.
    """
    writers = _writers(transactions)
    reads = _reads(transactions, 1)
    random.shuffle(reads)
    for place, _, key, elements in reads:
        writer = writers[key, elements[-1]]
        one = transactions[writer]
        if writer != place and one.outcome == "ok":
            transactions[writer] = msgspec.structs.replace(one, outcome="fail")
            return True
    return False


def _intermediate_read(transactions: list[Transaction], random: Random) -> bool:
    """Cut a read off between two elements that one transaction appended.

    Returns False if there is no such read.
    """
    writers = _writers(transactions)
    reads = _reads(transactions, 2)
    random.shuffle(reads)
    for place, number, key, elements in reads:
        if writers[key, elements[-1]] == writers[key, elements[-2]]:
            _replace(transactions, place, number, elements[:-1])
            return True
    return False


def _edit(elements_min: int, edit: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Corrupt:
    def corrupt(transactions: list[Transaction], random: Random) -> bool:
        reads = _reads(transactions, elements_min)
        if not reads:
            return False
        place, number, _, elements = random.choice(reads)
        _replace(transactions, place, number, edit(elements))
        return True

    return corrupt


A, B = "corrupted-a", "corrupted-b"

APPEND_CORRUPTIONS: Mapping[str, tuple[str, Corrupt, str]] = {
    "g0": (
        "two transactions write two keys in opposite orders",
        _inserted(
            ((Append(A, 1), Append(B, 2)), (Append(A, 2), Append(B, 1))),
            ((Read(A, (1, 2)), Read(B, (1, 2))),),
        ),
        "G0",
    ),
    "g1c": (
        "two transactions each read the append of the other",
        _inserted(((Append(A, 1), Read(B, (1,))), (Append(B, 1), Read(A, (1,))))),
        "G1c",
    ),
    "read-skew": (
        "a transaction reads one key before another transaction and one key after it",
        _inserted(((Append(A, 1), Append(B, 1)), (Read(A, ()), Read(B, (1,))))),
        "G-single",
    ),
    "long-fork": (
        "two transactions read two appends in opposite orders",
        _inserted((
            (Append(A, 1),), (Append(B, 1),),
            (Read(A, (1,)), Read(B, ())), (Read(A, ()), Read(B, (1,))),
        )),
        "G-nonadjacent",
    ),
    "write-skew": (
        "two transactions each append to the key that the other read",
        _inserted(((Read(A, ()), Append(B, 1)), (Read(B, ()), Append(A, 1)))),
        "G2-item",
    ),
    "lost-update": (
        "two transactions read the same list and append to it",
        _inserted(
            ((Read(A, ()), Append(A, 1)), (Read(A, ()), Append(A, 2))), ((Read(A, (1, 2)),),)
        ),
        "lost-update",
    ),
    "internal": (
        "a transaction does not read its own append",
        _inserted(((Append(A, 1), Read(A, ())),)),
        "internal",
    ),
    "stale-read": (
        "a read lacks an element that was appended before it began",
        _stale_read,
        "G-single-realtime",
    ),
    "aborted-read": (
        "a read returns an element that a failed transaction appended", _aborted_read, "G1a",
    ),
    "intermediate-read": (
        "a read ends between two elements that one transaction appended", _intermediate_read, "G1b",
    ),
    "duplicate-append": (
        "a read returns an element twice", _edit(1, lambda elements: (*elements, elements[0])),
        "duplicate-elements",
    ),
    "incompatible-order": (
        "a read returns two elements in a different order than the other reads",
        _edit(2, lambda elements: (*elements[:-2], elements[-1], elements[-2])),
        "incompatible-order",
    ),
    "garbage-read": (
        "a read returns an element that no transaction appended",
        _edit(1, lambda elements: (*elements, -1)),
        "garbage-read",
    ),
}
"""For each name of a corruption: its description, its function, and the kind of anomaly that a
checker must report. The checker may report a more serious kind instead.
"""
