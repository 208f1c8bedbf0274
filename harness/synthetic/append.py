"""Histories of transactions over lists or registers: valid ones of any size, and spoilt ones.

Clients in virtual time against one serializable store: each transaction takes effect at an
instant between its invocation and its answer; an uncertain one at an instant after its
invocation, or never; one that fails never. A few keys are in use at a time; each is left
for a new one after some writes, so that no list grows without end. The same arguments give
the same history.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Literal

import msgspec

from splitbrain.histories.random_stream import stream
from splitbrain.histories.transaction import Append, Key, MicroOperation, Read, Transaction, Write

KEYS = 10
WRITES_PER_KEY_MAX = 32
OPERATIONS_MAX = 4

TRANSACTIONS: Mapping[str, str] = {
    "append": "transactions that read lists and append to them",
    "wr": "transactions that read and write registers",
}
"""By the name that `splitbrain generate --workload` knows."""

Fate = Literal["ok", "fail", "info"]


def generate_append(
    transactions: int = 1000,
    clients: int = 32,
    uncertain: float = 0.01,
    failing: float = 0.01,
    seed: int = 0,
    registers: bool = False,
) -> list[Transaction]:
    """A strictly serializable history over lists, or `registers`, in the order of invocations."""
    simulation = _Simulation(clients, uncertain, failing, seed, registers)
    simulation.run(transactions)
    return simulation.finish()


class _Call:
    __slots__ = ("client", "ended", "ended_ns", "fate", "invoked", "made", "ns", "process", "shape")

    def __init__(self, client: int, process: int) -> None:
        self.client = client
        self.process = process
        self.fate: Fate = "ok"
        self.shape: list[tuple[int, int]] = []
        """Keys, each with the element to write, or 0 to read."""
        self.made: tuple[MicroOperation, ...] | None = None
        self.invoked = self.ns = 0
        self.ended: int | None = None
        self.ended_ns: int | None = None


class _Simulation:
    def __init__(
        self, clients: int, uncertain: float, failing: float, seed: int, registers: bool
    ) -> None:
        self._chance = stream(seed, "synthetic", "append")
        self._uncertain, self._failing = uncertain, failing
        self._registers = registers
        self._held: dict[int, Any] = {}
        self._keys = list(range(KEYS))
        self._written = [0] * KEYS
        self._next_key = KEYS
        self._calls: list[_Call] = []
        self._queue: list[tuple[int, int, int, _Call]] = []
        self._places = 0
        self._processes = clients
        self._events = 0
        for client in range(clients):
            self._later(client, 0, _Call(client, client))

    def _later(self, at: int, what: int, call: _Call) -> None:
        self._places += 1
        heapq.heappush(self._queue, (at, self._places, what, call))

    def run(self, transactions: int) -> None:
        while self._queue:
            now, _, what, call = heapq.heappop(self._queue)
            if what == 0:
                if len(self._calls) < transactions:
                    self._invoke(now, call)
            elif what == 1:
                self._take_effect(call)
            else:
                self._return(now, call)

    def _draw(self) -> list[tuple[int, int]]:
        chance, shape = self._chance, []
        for _ in range(1 + int(chance.random() * OPERATIONS_MAX)):
            # The first keys are used more often than the last.
            place = int(chance.random() ** 2 * KEYS)
            if chance.random() < 0.5:
                shape.append((self._keys[place], 0))
                continue
            self._written[place] += 1
            shape.append((self._keys[place], self._written[place]))
            if self._written[place] == WRITES_PER_KEY_MAX:
                self._keys[place], self._written[place] = self._next_key, 0
                self._next_key += 1
        return shape

    def _invoke(self, now: int, call: _Call) -> None:
        chance = self._chance
        call.shape, call.ns, call.invoked = self._draw(), now, self._events
        self._events += 1
        self._calls.append(call)
        draw = chance.random()
        if draw < self._uncertain:
            call.fate = "info"
        elif draw < self._uncertain + self._failing:
            call.fate = "fail"
        effect = now + int(chance.expovariate(1e-6)) + 1
        if call.fate == "ok":
            self._later(effect, 1, call)
        elif call.fate == "info" and chance.random() < 0.5:
            self._later(effect + chance.randrange(0, 40_000_000), 1, call)
        self._later(effect + int(chance.expovariate(2e-6)) + 1, 2, call)

    def _take_effect(self, call: _Call) -> None:
        held = self._held
        made: list[MicroOperation] = []
        for key, element in call.shape:
            if element == 0:
                made.append(Read(key, held.get(key, None if self._registers else ())))
            elif self._registers:
                held[key] = element
                made.append(Write(key, element))
            else:
                held[key] = (*held.get(key, ()), element)
                made.append(Append(key, element))
        call.made = tuple(made)

    def _return(self, now: int, call: _Call) -> None:
        call.ended, call.ended_ns = self._events, now
        self._events += 1
        process = call.process
        if call.fate == "info":
            process, self._processes = self._processes, self._processes + 1
        self._later(now + self._chance.randrange(1, 2_000_000), 0, _Call(call.client, process))

    def finish(self) -> list[Transaction]:
        made = []
        for call in self._calls:
            operations = call.made
            if operations is None or call.fate != "ok":
                operations = tuple(
                    Read(key) if element == 0
                    else Write(key, element) if self._registers else Append(key, element)
                    for key, element in call.shape
                )
            ended = None if call.fate == "info" else call.ended
            made.append(Transaction(
                call.process, call.fate, operations, call.invoked, ended, call.ns, call.ended_ns
            ))
        return made


# --- what can be wrong ----------------------------------------------------------

Spoil = Callable[[list[Transaction], Random], bool]
"""Puts one thing wrong into a history over lists; False if it offers no occasion."""


def spoil_append(
    transactions: list[Transaction], kind: str, seed: int = 0
) -> list[Transaction] | None:
    """`transactions` over lists with one thing wrong, of a kind in `APPEND_SPOILS`; None if they
    offer no occasion."""
    spoilt = list(transactions)
    return spoilt if APPEND_SPOILS[kind][1](spoilt, stream(seed, "spoil", kind)) else None


def _inserted(*groups: tuple[tuple[MicroOperation, ...], ...]) -> Spoil:
    """Transactions over keys of their own, at some place: those of a group at once, the
    groups one after another."""

    def insert(transactions: list[Transaction], chance: Random) -> bool:
        place = chance.randrange(len(transactions) + 1)
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
        fresh = []
        for group in groups:
            for number, made in enumerate(group):
                fresh.append(Transaction(
                    process, "ok", made, at + number, at + len(group) + number, ns, ns
                ))
                process += 1
            at += 2 * len(group)
        transactions[place:place] = fresh
        return True

    return insert


def _after(transactions: list[Transaction]) -> int:
    ends = [one.returned for one in transactions if one.returned is not None]
    return 1 + max([*ends, *(one.invoked for one in transactions)], default=-1)


def _reads(
    transactions: list[Transaction], least: int
) -> list[tuple[int, int, Key, tuple[Any, ...]]]:
    """Reads of at least `least` elements as (transaction, micro-operation, key, elements), of
    transactions that use the key once."""
    found = []
    for place, one in enumerate(transactions):
        if one.outcome == "ok":
            keys = [made.key for made in one.operations]
            for number, made in enumerate(one.operations):
                held = made.value if isinstance(made, Read) else None
                if isinstance(held, tuple) and len(held) >= least and keys.count(made.key) == 1:
                    found.append((place, number, made.key, held))
    return found


def _replace(
    transactions: list[Transaction], place: int, number: int, held: tuple[Any, ...]
) -> None:
    operations = list(transactions[place].operations)
    operations[number] = Read(operations[number].key, held)
    transactions[place] = msgspec.structs.replace(transactions[place], operations=tuple(operations))


def _writers(transactions: list[Transaction]) -> dict[tuple[Key, Any], int]:
    return {
        (made.key, made.element): place
        for place, one in enumerate(transactions)
        for made in one.operations if isinstance(made, Append)
    }


def _stale_read(transactions: list[Transaction], chance: Random) -> bool:
    """A read lacks what a transaction appended that had ended before it began."""
    writers = _writers(transactions)
    chosen = _reads(transactions, 1)
    chance.shuffle(chosen)
    for place, number, key, held in chosen:
        writer = transactions[writers[key, held[-1]]]
        reader = transactions[place]
        if writer.returned is not None and writer.returned < reader.invoked:
            run = [one.element for one in writer.operations
                   if isinstance(one, Append) and one.key == key]
            _replace(transactions, place, number, held[: -len(run)])
            return True
    return False


def _aborted_read(transactions: list[Transaction], chance: Random) -> bool:
    """A transaction whose append was read is told to have failed."""
    writers = _writers(transactions)
    chosen = _reads(transactions, 1)
    chance.shuffle(chosen)
    for place, _, key, held in chosen:
        writer = writers[key, held[-1]]
        one = transactions[writer]
        if writer != place and one.outcome == "ok":
            transactions[writer] = msgspec.structs.replace(one, outcome="fail")
            return True
    return False


def _intermediate_read(transactions: list[Transaction], chance: Random) -> bool:
    """A read ends in the midst of what one transaction appended."""
    writers = _writers(transactions)
    chosen = _reads(transactions, 2)
    chance.shuffle(chosen)
    for place, number, key, held in chosen:
        if writers[key, held[-1]] == writers[key, held[-2]]:
            _replace(transactions, place, number, held[:-1])
            return True
    return False


def _edit(least: int, edit: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Spoil:
    def spoil(transactions: list[Transaction], chance: Random) -> bool:
        chosen = _reads(transactions, least)
        if not chosen:
            return False
        place, number, _, held = chance.choice(chosen)
        _replace(transactions, place, number, edit(held))
        return True

    return spoil


A, B = "spoilt-a", "spoilt-b"

APPEND_SPOILS: Mapping[str, tuple[str, Spoil, str]] = {
    "g0": (
        "two transactions write two keys in opposite orders",
        _inserted(
            ((Append(A, 1), Append(B, 2)), (Append(A, 2), Append(B, 1))),
            ((Read(A, (1, 2)), Read(B, (1, 2))),),
        ),
        "G0",
    ),
    "g1c": (
        "two transactions each read what the other appends",
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
        "two transactions each append to what the other read",
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
        "a transaction does not read what it appended itself",
        _inserted(((Append(A, 1), Read(A, ())),)),
        "internal",
    ),
    "stale-read": (
        "a read lacks what was appended before it began", _stale_read, "G-single-realtime",
    ),
    "aborted-read": ("a read shows what a failed transaction appended", _aborted_read, "G1a"),
    "intermediate-read": (
        "a read ends in the midst of what one transaction appended", _intermediate_read, "G1b",
    ),
    "duplicate-append": (
        "a read shows an element twice", _edit(1, lambda held: (*held, held[0])),
        "duplicate-elements",
    ),
    "incompatible-order": (
        "a read shows two elements in another order than the other reads",
        _edit(2, lambda held: (*held[:-2], held[-1], held[-2])),
        "incompatible-order",
    ),
    "garbage-read": (
        "a read shows what nobody appended", _edit(1, lambda held: (*held, -1)), "garbage-read",
    ),
}
"""By name: what it is, how it is made, and the anomaly that it shows, or something worse."""
