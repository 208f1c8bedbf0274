"""The interface of a client of any store, and a base class for such clients.

A client belongs to one process of the history and has one connection. The harness opens it at a
member, calls its `invoke` for one operation after the other, and closes it. A client is
asynchronous if its `open` is a coroutine function. Its other methods may then be coroutine
functions. The methods of a synchronous client run in a separate thread.

`invoke` returns the answer of an operation that succeeded. If `invoke` raises `Definite`, or an
exception of a class that the client's attribute `definite` lists, the operation certainly did not
take effect (`fail`). After other exceptions, the operation may have taken effect or may still do so
(`info`). A read has no effect, so its outcome is `fail` after every exception. After any exception
that is not definite, the connection is closed, and the process of the history ends. If the client
decides the outcome itself, `invoke` returns a `Completion`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from splitbrain.harness.clients.address import Address


class Definite(Exception):
    """Raised by a client if the operation certainly did not take effect, and never will."""


DefiniteError = type[BaseException] | tuple[type[BaseException], str]
"""A type of exceptions, or a pair of such a type and a part of the exception's message."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One operation for a client: the function `f`, and its plain value.

    If the workload has several objects, `key` names the object. Otherwise `key` is None.
    """

    f: str
    value: Any = None
    key: Any = None


class Client(Protocol):
    """A client of any store, with one connection to one member. It may be asynchronous.

    The docstring of this module describes when the methods are called.
    """

    def open(self, member: Address, /) -> Awaitable[None] | None:
        """Connect to `member`. If this method raises, no operation was sent."""
        ...

    def invoke(self, operation: Invocation, /) -> Any:
        """Execute `operation`, and return its answer, as in Jepsen's histories."""
        ...

    def close(self) -> Awaitable[None] | None:
        """Close the connection. The method is called once after `open`, even if `open` raised."""
        ...


class StoreClient:
    """The base class of a client with a method for each function: `read`, `write`, `add`, `txn`, …

    A method gets the key (only if the workload has several objects) and the value (only if the
    function has one). `cas` gets the old and the new value, and returns whether it took effect.
    `setup(value)` is called once before the load, if the class has such a method.
    """

    definite: ClassVar[Sequence[DefiniteError]] = ()
    """The exceptions that mean that an operation certainly did not take effect."""

    def open(self, member: Address, /) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no method open(member)")

    def close(self) -> Any:
        """Do nothing. A subclass with a connection replaces this method."""

    def invoke(self, operation: Invocation, /) -> Any:
        arguments = [] if operation.key is None else [operation.key]
        if operation.f == "cas":
            arguments += operation.value
        elif operation.value is not None:
            arguments.append(operation.value)
        return getattr(self, operation.f)(*arguments)


def missing_functions(client: Any, wanted: Collection[str]) -> list[str]:
    """Return those functions in `wanted` that the class `client` does not implement.

    A class lists its functions in the attribute `functions`. A subclass of `StoreClient` may
    instead have a method for each function. The functions of any other class are unknown, so the
    result is empty.
    """
    declared = getattr(client, "functions", None)
    if declared is not None:
        return [f for f in wanted if f not in declared]
    if isinstance(client, type) and issubclass(client, StoreClient):
        return [f for f in wanted if not callable(getattr(client, f, None))]
    return []
