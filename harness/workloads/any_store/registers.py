"""Workloads of registers for any store: reads, writes and compare-and-sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.any_store.store_workload import UniqueNumbers, call
from splitbrain.harness.workloads.workload import Draft


class Register:
    """Reads and writes unique values in `keys` registers.

    After `keys * operations_per_key` operations, a client continues with the next `keys` registers.
    This limits the length of each register's history.
    """

    name: ClassVar[str] = "register"
    description: ClassVar[str] = "reads and writes of registers"
    functions: ClassVar[Sequence[str]] = ("read", "write")
    checkers: ClassVar[Sequence[str]] = ("linearizable", "statistics")
    keyed: ClassVar[bool] = True

    def __init__(self, keys: int = 5, operations_per_key: int = 20) -> None:
        if not (1 <= keys <= 1000 and operations_per_key >= 1):
            raise BadArguments(
                f"the workload {self.name} with keys={keys}, operations_per_key="
                f"{operations_per_key}: expected 1 to 1000 keys and at least 1 operation"
            )
        self.keys = keys
        self.operations_per_key = operations_per_key

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueNumbers(client)
        for number in count():
            generation = number // (self.keys * self.operations_per_key)
            key = generation * self.keys + random.randrange(self.keys)
            yield self._draw(random, key, values)

    def _draw(self, random: Random, key: int, values: UniqueNumbers) -> Draft:
        if random.random() < 0.5:
            return call("read", [key, None])
        return call("write", [key, values.take()])

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return tuple(call("read", [key, None]) for key in range(self.keys))


class CasRegister(Register):
    """Adds compare-and-sets to the reads and writes of registers.

    Only five different values occur, so that some compare-and-sets succeed.
    """

    name: ClassVar[str] = "cas-register"
    description: ClassVar[str] = "reads, writes and compare-and-sets of registers"
    functions: ClassVar[Sequence[str]] = ("read", "write", "cas")

    VALUES = 5

    def _draw(self, random: Random, key: int, values: UniqueNumbers) -> Draft:
        kind = random.randrange(3)
        if kind == 0:
            return call("read", [key, None])
        if kind == 1:
            return call("write", [key, random.randrange(self.VALUES)])
        old, new = random.randrange(self.VALUES), random.randrange(self.VALUES)
        return call("cas", [key, [old, new]])
