"""Declares the interface of a network that also serves clients at URLs.

It extends the interface in `splitbrain.node.world`.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from splitbrain.node.api.v3_service import Api
from splitbrain.node.world import Closable, Network, World


class Carriers(Enum):
    """The protocols that a client port serves."""

    BOTH = "gRPC and HTTP"
    GRPC = "gRPC"
    HTTP = "HTTP"


class ApiNetwork(Network, Protocol):
    """A network that connects peers, and also serves the v3 API to clients."""

    async def serve_clients(
        self, url: str, api: Api, carriers: Carriers = Carriers.BOTH
    ) -> Closable:
        """Serve `api` at `url` over the protocols in `carriers`. Raises AddressInUse.

        Closing the returned value ends the service.
        """
        ...


class ApiWorld(World, Protocol):
    """A world whose network can serve the v3 API to clients."""

    @property
    def network(self) -> ApiNetwork: ...
