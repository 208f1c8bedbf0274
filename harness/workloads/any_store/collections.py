"""Workloads of sets, queues, counters and generators of unique ids, for any store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.any_store.store_workload import UniqueNumbers, call
from splitbrain.harness.workloads.workload import Draft


def _check_percent(workload: str, name: str, given: int, most: int = 90) -> None:
    if not 0 <= given <= most:
        raise BadArguments(f"the workload {workload} with {name}={given}: expected 0 to {most}")


class Set:
    """Adds unique elements to one set, and reads the whole set.

    The checker finds an acknowledged element that a final read lacks.
    """

    name: ClassVar[str] = "set"
    description: ClassVar[str] = "adds of unique elements, each of which must be read at the end"
    functions: ClassVar[Sequence[str]] = ("add", "read")
    checkers: ClassVar[Sequence[str]] = ("set_full", "statistics")

    def __init__(self, reads_percent: int = 5) -> None:
        _check_percent(self.name, "reads_percent", reads_percent)
        self.reads_percent = reads_percent

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueNumbers(client)
        while True:
            if random.random() * 100 < self.reads_percent:
                yield call("read")
            else:
                yield call("add", values.take())

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (call("read"),)


class Queue:
    """Enqueues unique elements and dequeues them.

    At the end, elements are dequeued until none is left.
    """

    name: ClassVar[str] = "queue"
    description: ClassVar[str] = "elements that are enqueued and must be dequeued exactly once"
    functions: ClassVar[Sequence[str]] = ("enqueue", "dequeue")
    checkers: ClassVar[Sequence[str]] = ("queue", "statistics")
    drain: ClassVar[str] = "dequeue"

    def __init__(self, dequeues_percent: int = 45) -> None:
        _check_percent(self.name, "dequeues_percent", dequeues_percent)
        self.dequeues_percent = dequeues_percent

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueNumbers(client)
        while True:
            if random.random() * 100 < self.dequeues_percent:
                yield call("dequeue")
            else:
                yield call("enqueue", values.take())

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (call("dequeue"),)


class Counter:
    """Adds random numbers from 1 to 5 to a counter, and reads it."""

    name: ClassVar[str] = "counter"
    description: ClassVar[str] = "increments of a counter, each of which must be counted once"
    functions: ClassVar[Sequence[str]] = ("add", "read")
    checkers: ClassVar[Sequence[str]] = ("counter", "statistics")

    def __init__(self, reads_percent: int = 40) -> None:
        _check_percent(self.name, "reads_percent", reads_percent)
        self.reads_percent = reads_percent

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        while True:
            if random.random() * 100 < self.reads_percent:
                yield call("read")
            else:
                yield call("add", random.randint(1, 5))

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (call("read"),)


class UniqueIds:
    """Asks the store for new ids, all of which must be different."""

    name: ClassVar[str] = "unique-ids"
    description: ClassVar[str] = "generated ids, which must all be different"
    functions: ClassVar[Sequence[str]] = ("generate",)
    checkers: ClassVar[Sequence[str]] = ("unique_ids", "statistics")

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        while True:
            yield call("generate")

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (call("generate"),)
