"""Workloads of transactions over lists and registers in a v3 store (checker `transactions`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import count
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compare, Put, Range, Txn
from splitbrain.histories.list_value import fresh


class _Transactions(ABC):
    """A workload of transactions over `keys` keys.

    After `operations_per_client` transactions, a client continues with the next `keys` keys. Each
    key begins with the name of the workload and a slash.
    """

    name: ClassVar[str]

    def __init__(
        self, keys: int = 4, operations_max: int = 4, operations_per_client: int = 40
    ) -> None:
        if not (1 <= keys <= 10 and 1 <= operations_max <= 20 and operations_per_client >= 1):
            raise BadArguments(
                f"the workload {self.name} with keys={keys}, operations_max={operations_max}, "
                f"operations_per_client={operations_per_client}: expected 1 to 10 keys, 1 to 20 "
                "operations, and at least 1 operation per client"
            )
        self.keys = keys
        self.operations_max = operations_max
        self.operations_per_client = operations_per_client

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        for number in count():
            yield self._draw(random, values, number // self.operations_per_client)

    @abstractmethod
    def _draw(self, random: Random, values: UniqueValues, generation: int) -> Draft:
        """Draw one transaction.

        `generation` is the number of the group of `keys` keys that the transaction uses.
        """

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range(f"{self.name}/", f"{self.name}0")),)


class Append(_Transactions):
    """Transactions of one to `operations_max` operations, which read lists and append to them.

    The store has no lists, so a list is encoded as a value. An append takes two steps, as in
    Jepsen's append test for etcd. First the client reads the keys. Then one transaction, guarded by
    the mod_revision of each key, reads the keys again and puts the longer lists. If a guard fails,
    the transaction only reads the keys. To limit the length of a list, a client continues with the
    next `keys` lists after `operations_per_client` transactions.
    """

    name: ClassVar[str] = "append"
    description: ClassVar[str] = "transactions that read lists and append to them"
    checkers: ClassVar[Sequence[str]] = (*ALWAYS, "transactions")

    def _draw(self, random: Random, values: UniqueValues, generation: int) -> Draft:
        branch: dict[tuple[str, str], Range | Put] = {}
        added: dict[str, list[str]] = {}
        for _ in range(random.randint(1, self.operations_max)):
            key = f"append/{generation:04d}.{random.randrange(self.keys)}"
            if random.random() < 0.5:
                # A read that comes before the put of the key returns the old list. A read after the
                # put returns the list that the transaction wrote.
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


class WriteRead(_Transactions):
    """Transactions of one to `operations_max` operations, which read and write registers.

    Half of the transactions that write are guarded: each written key must still have the value that
    the client last read. If a guard fails, the transaction instead reads the keys that it would
    have written.
    """

    name: ClassVar[str] = "wr"
    description: ClassVar[str] = "transactions that read and write registers"
    checkers: ClassVar[Sequence[str]] = (*ALWAYS, "transactions")

    def _draw(self, random: Random, values: UniqueValues, generation: int) -> Draft:
        branch: dict[tuple[str, bool], Range | Put] = {}
        for _ in range(random.randint(1, self.operations_max)):
            key = f"wr/{generation:04d}.{random.randrange(self.keys)}"
            write = random.random() < 0.5
            if (key, write) not in branch:
                branch[(key, write)] = Put(key, values.take()) if write else Range(key)
        success = tuple(branch.values())
        written = [key for key, write in branch if write]
        if not written or random.random() < 0.5:
            return Draft("wr", Txn((), success))
        return Draft(
            "wr",
            Txn(
                tuple(Compare(key, "value", "=", "") for key in written),
                success,
                tuple(Range(key) for key in written),
            ),
            expect_last_seen=tuple(range(len(written))),
        )
