"""A workload of a set, in which each acknowledged element must be read at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compare, Put, Range, Txn


class Set:
    """Adds unique elements and reads them all at the end.

    An element is stored as a key below `set/<client>/`, whose value is the element. The key is
    written by a put, or by a transaction that puts it if it does not exist. `reads_percent` percent
    of the operations count the elements or read some of them.
    """

    name: ClassVar[str] = "set"
    description: ClassVar[str] = "adds of unique elements, each of which must be read at the end"
    checkers: ClassVar[Sequence[str]] = (
        *ALWAYS,
        "set_full",
    )

    def __init__(self, reads_percent: int = 15) -> None:
        if not 0 <= reads_percent <= 90:
            raise BadArguments(
                f"the workload set with reads_percent={reads_percent}: expected 0 to 90"
            )
        self.reads_percent = reads_percent

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        while True:
            if random.random() * 100 < self.reads_percent:
                yield self._read(random, client)
            else:
                yield self._add(random, client, values.take())

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return tuple(Draft(FINAL_READ, Range(*_interval(client))) for client in range(clients))

    def _add(self, random: Random, client: int, element: str) -> Draft:
        put = Put(f"set/{client}/{element}", element)
        if random.random() < 0.5:
            return Draft("add", put)
        absent = Compare(put.key, "version", "=", 0)
        return Draft("add", Txn((absent,), success=(put,), failure=(Range(put.key),)))

    def _read(self, random: Random, client: int) -> Draft:
        if random.random() < 0.5:
            return Draft("read", Range("set/", "set0", count_only=True))
        key, end = _interval(client)
        return Draft("read", Range(key, end, limit=10))


def _interval(client: int) -> tuple[str, str]:
    """Return the first key and the end of the interval of keys that begin with `set/<client>/`."""
    return f"set/{client}/", f"set/{client}0"
