"""Workloads of transactions for any store: on lists, on registers, and on accounts of a bank."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import count
from random import Random
from typing import Any, ClassVar

from splitbrain.checkers.transactions import DEFAULT, model_named
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.any_store.store_workload import UniqueNumbers, call
from splitbrain.harness.workloads.workload import Draft


class _Transactions(ABC):
    """Draws transactions of one to `operations_max` operations on `keys` keys.

    After `operations_per_client` transactions a client continues with the next `keys` keys.
    `consistency` is the consistency model that the store promises.
    """

    name: ClassVar[str]
    functions: ClassVar[Sequence[str]] = ("txn",)
    checkers: ClassVar[Sequence[str]] = ("transactions", "statistics")

    def __init__(
        self,
        keys: int = 4,
        operations_max: int = 4,
        operations_per_client: int = 40,
        consistency: str = DEFAULT,
    ) -> None:
        if not (1 <= keys <= 1000 and 1 <= operations_max <= 100 and operations_per_client >= 1):
            raise BadArguments(
                f"the workload {self.name} with keys={keys}, operations_max={operations_max}, "
                f"operations_per_client={operations_per_client}: expected 1 to 1000 keys, 1 to "
                "100 operations, and at least 1 transaction per client"
            )
        try:
            self.consistency = model_named(consistency)
        except ValueError as problem:
            raise BadArguments(f"the workload {self.name}: {problem}") from problem
        self.keys = keys
        self.operations_max = operations_max
        self.operations_per_client = operations_per_client

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueNumbers(client)
        for number in count():
            first = number // self.operations_per_client * self.keys
            yield call("txn", self._draw(random, first, values))

    @abstractmethod
    def _draw(self, random: Random, first: int, values: UniqueNumbers) -> list[list[Any]]:
        """Draw one transaction on `keys` keys, the first of which has the number `first`."""

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (call("txn", [["r", key, None] for key in range(self.keys)]),)


class ListAppend(_Transactions):
    """Draws transactions that append unique elements to lists and read lists."""

    name: ClassVar[str] = "list-append"
    description: ClassVar[str] = "transactions that append to lists and read them"

    def _draw(self, random: Random, first: int, values: UniqueNumbers) -> list[list[Any]]:
        made: list[list[Any]] = []
        for _ in range(random.randint(1, self.operations_max)):
            key = first + random.randrange(self.keys)
            reads = random.random() < 0.5
            made.append(["r", key, None] if reads else ["append", key, values.take()])
        return made


class RwRegister(_Transactions):
    """Draws transactions that write unique values to registers and read registers."""

    name: ClassVar[str] = "rw-register"
    description: ClassVar[str] = "transactions that read and write registers"

    def _draw(self, random: Random, first: int, values: UniqueNumbers) -> list[list[Any]]:
        made: list[list[Any]] = []
        for _ in range(random.randint(1, self.operations_max)):
            key = first + random.randrange(self.keys)
            made.append(["r", key, None] if random.random() < 0.5 else ["w", key, values.take()])
        return made


class LongFork(_Transactions):
    """Draws transactions that write one key, and transactions that read a group of `keys` keys.

    In a long fork, two reads observe two independent writes in opposite orders. Snapshot isolation
    forbids a long fork, and parallel snapshot isolation allows it.
    """

    name: ClassVar[str] = "long-fork"
    description: ClassVar[str] = "single writes, and reads that must agree on their order"

    def __init__(
        self, keys: int = 3, operations_per_client: int = 10,
        consistency: str = "snapshot-isolation",
    ) -> None:
        super().__init__(keys, 1, operations_per_client, consistency)

    def _draw(self, random: Random, first: int, values: UniqueNumbers) -> list[list[Any]]:
        if random.random() < 0.5:
            return [["w", first + random.randrange(self.keys), values.take()]]
        keys = random.sample(range(first, first + self.keys), self.keys)
        return [["r", key, None] for key in keys]


class Bank:
    """Transfers amounts between `accounts` accounts, and reads all balances.

    The sum of the balances is always `total`.
    """

    name: ClassVar[str] = "bank"
    description: ClassVar[str] = "transfers between accounts, whose total must not change"
    functions: ClassVar[Sequence[str]] = ("setup", "read", "transfer")
    checkers: ClassVar[Sequence[str]] = ("bank", "statistics")

    def __init__(self, accounts: int = 8, total: int = 100, transfer_max: int = 5) -> None:
        if not (2 <= accounts <= 1000 and total >= 0 and transfer_max >= 1):
            raise BadArguments(
                f"the workload bank with accounts={accounts}, total={total}, transfer_max="
                f"{transfer_max}: expected 2 to 1000 accounts, a total from 0 on, and a transfer "
                "from 1 on"
            )
        self.accounts = accounts
        self.transfer_max = transfer_max
        self.setup = {
            str(number): total // accounts + (number < total % accounts)
            for number in range(accounts)
        }
        self.initial = total

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        while True:
            if random.random() < 0.5:
                yield call("read")
            else:
                source, target = random.sample(range(self.accounts), 2)
                amount = random.randint(1, self.transfer_max)
                yield call("transfer", {"from": source, "to": target, "amount": amount})

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (call("read"),)
