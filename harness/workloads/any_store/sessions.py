"""Workloads of locks and of session guarantees, for any store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.any_store.store_workload import UniqueNumbers, call
from splitbrain.harness.workloads.workload import Draft


class Lock:
    """Each client acquires the lock, and releases it if the acquisition succeeded."""

    name: ClassVar[str] = "lock"
    description: ClassVar[str] = "a lock that at most one client holds at any time"
    functions: ClassVar[Sequence[str]] = ("acquire", "release")
    checkers: ClassVar[Sequence[str]] = ("mutex", "statistics")

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        while True:
            yield call("acquire")
            yield _after_ok(call("release"))

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return ()


def _after_ok(draft: Draft) -> Draft:
    return Draft(draft.f, draft.request, after_ok=True)


class Monotonic:
    """Writes increasing numbers to `keys` registers.

    Only one client writes a register; all read it.

    The checker `sessions` finds reads that are older than an earlier read or write of the same
    process, and reads of values that were not written. The store need not be linearizable.
    """

    name: ClassVar[str] = "monotonic"
    description: ClassVar[str] = "registers with one writer each, read in sessions"
    functions: ClassVar[Sequence[str]] = ("read", "write")
    checkers: ClassVar[Sequence[str]] = ("sessions", "statistics")
    keyed: ClassVar[bool] = True

    def __init__(self, keys: int = 5) -> None:
        if not 1 <= keys <= 1000:
            raise BadArguments(f"the workload monotonic with keys={keys}: expected 1 to 1000")
        self.keys = keys

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueNumbers(client)
        while True:
            if client < self.keys and random.random() < 0.4:
                yield call("write", [client, values.take()])
            else:
                yield call("read", [random.randrange(self.keys), None])

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return tuple(call("read", [key, None]) for key in range(min(self.keys, clients)))
