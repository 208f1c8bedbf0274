"""Transactions over lists, and over registers: what `transactions` judges by cycles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compare, Put, Range, Txn
from splitbrain.histories.list_value import fresh


class Append:
    """Reads of lists and appends to them, one to `operations_max` in a transaction.

    The store has no lists: a list is a value, and appending to it is done in two steps, as
    Jepsen's append test for etcd does. The keys are read; then one transaction, guarded by
    each key's mod_revision, reads them again and puts the longer lists. A guard that fails
    reads them only. After `operations_per_client` transactions a client moves on to the
    next `keys` lists, so that none grows without end.
    """

    name: ClassVar[str] = "append"
    description: ClassVar[str] = "transactions that read lists and append to them"
    checkers: ClassVar[Sequence[str]] = (*ALWAYS, "transactions")

    def __init__(
        self, keys: int = 4, operations_max: int = 4, operations_per_client: int = 40
    ) -> None:
        _check(self.name, keys, operations_max, operations_per_client)
        self.keys = keys
        self.operations_max = operations_max
        self.operations_per_client = operations_per_client

    def operations(self, chance: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        count = 0
        while True:
            generation = count // self.operations_per_client
            count += 1
            yield self._draw(chance, values, generation)

    def _draw(self, chance: Random, values: UniqueValues, generation: int) -> Draft:
        branch: dict[tuple[str, str], Range | Put] = {}
        added: dict[str, list[str]] = {}
        for _ in range(chance.randint(1, self.operations_max)):
            key = f"append/{generation:04d}.{chance.randrange(self.keys)}"
            if chance.random() < 0.5:
                # Before the key's put or after it: the one shows what was there, the other
                # what the transaction made of it.
                branch.setdefault((key, "after" if key in added else "before"), Range(key))
            else:
                added.setdefault(key, []).append(values.take())
                branch[(key, "put")] = Put(key, fresh(added[key]))
        success = tuple(branch.values())
        if not added:
            return Draft("read", Txn((), success))
        keys = list(dict.fromkeys(key for key, _ in branch))
        return Draft(
            "append",
            Txn(
                tuple(Compare(key, "mod", "=", 0) for key in keys),
                success,
                tuple(Range(key) for key in keys),
            ),
            expect_last_seen=tuple(range(len(keys))),
            append_to_seen=True,
        )

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range("append/", "append0")),)


class WriteRead:
    """Reads and writes of registers, one to `operations_max` in a transaction.

    Half of the transactions that write are sent at once; the others are guarded by what the
    client last saw of the keys that they write, and read them if a guard fails.
    """

    name: ClassVar[str] = "wr"
    description: ClassVar[str] = "transactions that read and write registers"
    checkers: ClassVar[Sequence[str]] = (*ALWAYS, "transactions")

    def __init__(
        self, keys: int = 4, operations_max: int = 4, operations_per_client: int = 40
    ) -> None:
        _check(self.name, keys, operations_max, operations_per_client)
        self.keys = keys
        self.operations_max = operations_max
        self.operations_per_client = operations_per_client

    def operations(self, chance: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        count = 0
        while True:
            generation = count // self.operations_per_client
            count += 1
            branch: dict[tuple[str, bool], Range | Put] = {}
            for _ in range(chance.randint(1, self.operations_max)):
                key = f"wr/{generation:04d}.{chance.randrange(self.keys)}"
                write = chance.random() < 0.5
                if (key, write) not in branch:
                    branch[(key, write)] = Put(key, values.take()) if write else Range(key)
            written = [key for key, write in branch if write]
            if not written or chance.random() < 0.5:
                yield Draft("wr", Txn((), tuple(branch.values())))
                continue
            yield Draft(
                "wr",
                Txn(
                    tuple(Compare(key, "value", "=", "") for key in written),
                    tuple(branch.values()),
                    tuple(Range(key) for key in written),
                ),
                expect_last_seen=tuple(range(len(written))),
            )

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range("wr/", "wr0")),)


def _check(name: str, keys: int, operations_max: int, operations_per_client: int) -> None:
    if not (1 <= keys <= 10 and 1 <= operations_max <= 20 and operations_per_client >= 1):
        raise BadArguments(
            f"the workload {name} with keys={keys}, operations_max={operations_max}, "
            f"operations_per_client={operations_per_client}: expected 1 to 10 keys, 1 to 20 "
            "operations, and at least 1 operation per client"
        )
