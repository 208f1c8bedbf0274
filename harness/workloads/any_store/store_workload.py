"""The interface of a workload for a client of any store.

Such a workload draws calls of functions (`read`, `write`, `txn`, …) with plain values. It names the
functions that a client must implement, and the checkers that judge the log of the calls. The values
have the same form as in Jepsen, so that `splitbrain check` and `splitbrain export` can read the
history.

A workload of a user is named by a dotted path (`package.module:Class`) or by an entry point of the
group `splitbrain.store_workloads`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import Any, ClassVar, Protocol, runtime_checkable

from splitbrain.harness.workloads.workload import Draft
from splitbrain.histories.client_call import Call


def call(f: str, value: Any = None) -> Draft:
    """Return the operation that calls the function `f` of a client with the plain value `value`."""
    return Draft(f, Call(value))


@runtime_checkable
class StoreWorkload(Protocol):
    """A workload for a client of any store: it draws the client's calls and names the checkers.

    Optional attributes:

    - `keyed`: True if each value is a pair [key, value], as in Jepsen's independent tests.
    - `setup`: the plain value that is passed to the client's method `setup` once before the load.
    - `drain`: the function whose final call is repeated until it returns None.
    - `initial`: the initial state of the objects, which the checkers need.
    - `consistency`: the consistency model that the checker `transactions` judges by.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    functions: ClassVar[Collection[str]]
    """The functions that a client must implement."""
    checkers: ClassVar[Sequence[str]]
    """Names in `splitbrain.checkers.foreign.log_checkers.LOG_CHECKERS`, or dotted paths of
    functions."""

    def operations(self, random: Random, client: int, /) -> Iterator[Draft]:
        """Yield the calls of client number `client`, without end. `call` creates one."""
        ...

    def final_operations(self, clients: int, /) -> Sequence[Draft]:
        """Return the calls at the end of a run, after all faults are healed."""
        ...


class UniqueNumbers:
    """Whole numbers that are unique in a run and increase.

    Each client has numbers of its own: client 3 takes 10003, 20003 and so on.
    """

    CLIENTS_MAX = 10_000

    def __init__(self, client: int) -> None:
        self._client = client
        self._count = 0

    def take(self) -> int:
        self._count += 1
        return self._count * self.CLIENTS_MAX + self._client
