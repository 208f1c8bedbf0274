"""The interface between a run and the clients of any store: `Clients` and `Session`.

A session is the connection of one process of the history to one member. The clients of etcd's API,
the simulated clients and the clients of a user's store implement this interface. Therefore the load
of a run is the same for all stores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Protocol

from splitbrain.harness.clients.address import Address
from splitbrain.harness.clients.completion import Completion
from splitbrain.harness.clients.json_messages import Status
from splitbrain.histories.service_operation import AnyRequest


class Session(Protocol):
    """The connection of one process of the history to one member."""

    def invoke(self, f: str, request: AnyRequest, /) -> Awaitable[Completion]:
        """Execute the operation `request`, which has the name `f` in the history.

        An error of the store is returned as an outcome, not raised.
        """
        ...

    async def close(self) -> None:
        """Close the connection. Never raises."""
        ...


class Clients(Protocol):
    """Opens sessions. Each session connects one process of the history to one member."""

    async def open(self, member: Address, /) -> Session:
        """Open a session at `member`. If this method raises, no operation was sent."""
        ...


class StatusRefused(Exception):
    """A member refused to tell its status, for example because the request had no token."""


class EtcdClient(ABC):
    """A client of an etcd v3 store, which all processes of the history share.

    Its connections are not bound to a process, because etcd keeps no state of a connection.
    """

    async def open(self, member: Address, /) -> Session:
        return _EtcdSession(self, member.client_url)

    @abstractmethod
    async def call(self, url: str, request: AnyRequest) -> Completion:
        """Send `request` to the member whose client URL is `url`, such as http://HOST:PORT."""

    async def status(self, url: str, token: str = "") -> Status | None:
        """Return the member's status, or None if the member does not answer.

        `token` is the authentication token ("": none). Raises StatusRefused.
        """
        return None


class _EtcdSession:
    __slots__ = ("_client", "_url")

    def __init__(self, client: EtcdClient, url: str) -> None:
        self._client = client
        self._url = url

    def invoke(self, f: str, request: AnyRequest, /) -> Awaitable[Completion]:
        return self._client.call(self._url, request)

    async def close(self) -> None:
        """Do nothing. A connection on which a request fails is closed at once."""
