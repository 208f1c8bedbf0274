"""Implements a store in memory: a system with the four required methods, and its client.

The client has all functions. With its option `bug`, the store breaks the promise of each workload.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from splitbrain import Address, Anomaly, Definite, StoreClient


class Memory:
    def __init__(self) -> None:
        self.registers: dict[Any, Any] = {}
        self.older: dict[Any, Any] = {}
        """The values before the last write of each register."""
        self.elements: list[int] = []
        self.queue: list[int] = []
        self.total = 0
        self.accounts: dict[str, int] = {}
        self.locked = False
        self.ids = itertools.count()
        self.calls = 0
        self.late: list[tuple[Any, Any]] = []
        """Writes of even registers, which readers of the odd side see later."""


class MemorySystem:
    """The required methods of a system, and no others."""

    memory = Memory()

    def __init__(self, *, members: tuple[str, ...], folder: Path, **_: object) -> None:
        self.members = members

    async def start(self) -> None:
        MemorySystem.memory = Memory()

    async def stop(self) -> None:
        pass

    def address(self, member: str) -> Address:
        return Address(member, "127.0.0.1:1")


class MemoryClient(StoreClient):
    def __init__(self, bug: int = 0) -> None:
        self.bug = bool(bug)

    async def open(self, member: Address) -> None:
        self.memory = MemorySystem.memory

    def _now_and_then(self) -> bool:
        self.memory.calls += 1
        return self.bug and self.memory.calls % 5 == 0

    async def setup(self, value: Any = None) -> None:
        self.memory.accounts = dict(value or {})


class Registers(MemoryClient):
    async def read(self, key: Any) -> Any:
        return (self.memory.older if self._now_and_then() else self.memory.registers).get(key)

    async def write(self, key: Any, value: Any) -> None:
        self.memory.older[key] = self.memory.registers.get(key)
        self.memory.registers[key] = value

    async def cas(self, key: Any, old: Any, new: Any) -> bool:
        if self.memory.registers.get(key) != old and not self._now_and_then():
            return False
        await self.write(key, new)
        return True


class Sets(MemoryClient):
    async def add(self, element: int) -> None:
        if not self._now_and_then():
            self.memory.elements.append(element)

    async def read(self) -> Any:
        return list(self.memory.elements)


class Counters(MemoryClient):
    async def add(self, amount: int) -> None:
        self.memory.total += amount * (3 if self._now_and_then() else 1)

    async def read(self) -> int:
        return self.memory.total


class Queues(MemoryClient):
    async def enqueue(self, element: int) -> None:
        self.memory.queue.append(element)

    async def dequeue(self) -> int | None:
        if not self.memory.queue:
            return None
        return self.memory.queue[0] if self._now_and_then() else self.memory.queue.pop(0)


class Ids(MemoryClient):
    async def generate(self) -> int:
        return 7 if self._now_and_then() else 100 + next(self.memory.ids)


class Locks(MemoryClient):
    async def acquire(self) -> None:
        if self.memory.locked and not self._now_and_then():
            raise Definite("held")
        self.memory.locked = True

    async def release(self) -> None:
        self.memory.locked = False


class Bank(MemoryClient):
    async def read(self) -> dict[str, int]:
        return dict(self.memory.accounts)

    async def transfer(self, value: dict[str, int]) -> None:
        source, target = str(value["from"]), str(value["to"])
        if self.memory.accounts[source] < value["amount"]:
            raise Definite("not enough money")
        self.memory.accounts[source] -= value["amount"]
        if not self._now_and_then():
            self.memory.accounts[target] += value["amount"]


class Transactions(MemoryClient):
    async def txn(self, operations: list[list[Any]]) -> list[list[Any]]:
        stale = self._now_and_then()
        answers = []
        for f, key, value in operations:
            if f == "append":
                before = self.memory.registers.get(key, [])
                self.memory.older[key] = before
                self.memory.registers[key] = [*before, value]
            elif f == "w":
                self.memory.older[key] = self.memory.registers.get(key)
                self.memory.registers[key] = value
            else:
                value = (self.memory.older if stale else self.memory.registers).get(key)
            answers.append([f, key, value])
        return answers


class TwoSides(MemoryClient):
    """Writes reach the clients of the other side late: a long fork."""

    sides = itertools.count()

    async def open(self, member: Address) -> None:
        await super().open(member)
        self.side = next(self.sides) % 2

    async def txn(self, operations: list[list[Any]]) -> list[list[Any]]:
        answers = []
        for f, key, value in operations:
            if f == "w":
                for side in (0, 1):
                    if self.bug and side != key % 2:
                        self.memory.late.append(((side, key), value))
                    else:
                        self.memory.registers[(side, key)] = value
            else:
                value = self.memory.registers.get((self.side, key))
            answers.append([f, key, value])
        while len(self.memory.late) > 6:
            place, late = self.memory.late.pop(0)
            self.memory.registers[place] = late
        return answers


class Flaky(Registers):
    """Every seventh write takes effect and raises; every eleventh is refused."""

    opened = 0
    closed = 0

    async def open(self, member: Address) -> None:
        await super().open(member)
        Flaky.opened += 1

    async def close(self) -> None:
        Flaky.closed += 1

    async def write(self, key: Any, value: Any) -> None:
        self.memory.calls += 1
        if self.memory.calls % 11 == 0:
            raise Definite("refused")
        await super().write(key, value)
        if self.memory.calls % 7 == 0:
            raise ConnectionResetError("gone")


def read_answers_are_numbers(log: Any) -> Any:
    """A checker of a user: a generator of anomalies."""
    for op in log:
        if op.f == "read" and op.outcome == "ok" and not isinstance(op.answer, int | None):
            yield Anomaly("no-number", f"{op.answer!r} is not a number", events=(op.call,))


def no_read_succeeds(log: Any) -> Any:
    for op in log:
        if op.f == "read" and op.outcome == "ok":
            yield Anomaly("read", f"process {op.process} read {op.key}", events=(op.call,))
