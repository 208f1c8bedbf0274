"""A workload of registers: put, get and compare-and-swap over a few keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compare, Put, Range, Txn


class Register:
    """Puts, gets and compare-and-swaps `keys` registers.

    After `operations_per_client` operations a client continues with the next `keys` registers, so
    that the history of a register stays short enough for a checker that searches.

    A compare-and-swap is a transaction. Half of them compare the value of the key with the value
    that this client last read; the others compare the mod_revision. If the comparison succeeds, the
    transaction puts a new value; otherwise it gets the key. The expected value is set when the
    client sends the operation. It is "" or 0 if the client has not read the key yet.

    Some operations are transactions that get two registers. Their ranges are linearizable or
    serializable.
    """

    name: ClassVar[str] = "register"
    description: ClassVar[str] = "put, get and compare-and-swap over a few keys"
    checkers: ClassVar[Sequence[str]] = (
        *ALWAYS,
        "linearizable",
    )

    def __init__(self, keys: int = 5, operations_per_client: int = 100) -> None:
        if keys < 1 or operations_per_client < 1:
            raise BadArguments(
                f"the workload register with keys={keys}, "
                f"operations_per_client={operations_per_client}: both must be at least 1"
            )
        self.keys = keys
        self.operations_per_client = operations_per_client

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        count = 0
        while True:
            generation = count // self.operations_per_client
            key = f"r{generation}.{random.randrange(self.keys)}"
            count += 1
            kind = random.random()
            if kind < 0.35:
                yield Draft("get", Range(key))
            elif kind < 0.65:
                yield Draft("put", Put(key, values.take(), prev_kv=random.random() < 0.3))
            elif kind >= 0.96:
                yield self._reads(random, generation)
            else:
                yield self._swap(key, values.take(), by_value=random.random() < 0.5)

    def _swap(self, key: str, value: str, by_value: bool) -> Draft:
        compare = Compare(key, "value", "=", "") if by_value else Compare(key, "mod", "=", 0)
        swap = Txn((compare,), success=(Put(key, value),), failure=(Range(key),))
        return Draft("cas", swap, expect_last_seen=(0,))

    def _reads(self, random: Random, generation: int) -> Draft:
        numbers = random.sample(range(self.keys), min(self.keys, 2))
        return Draft("read", Txn((), tuple(
            Range(f"r{generation}.{number}", serializable=random.random() < 0.4)
            for number in numbers
        )))

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range("r", "s")),)
