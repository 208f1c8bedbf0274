"""The real network: TCP between members, gRPC and HTTP for clients."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from random import Random

from splitbrain.node.api.ports import Log
from splitbrain.node.api.v3_service import Api
from splitbrain.node.api.world import Carriers
from splitbrain.node.real.listen_address import address_error, host_and_port
from splitbrain.node.real.peer_connection import FrameReceiver, TcpPeerLink
from splitbrain.node.world import Closable


class _PeerListener:
    def __init__(self, server: asyncio.Server, connections: dict[asyncio.Transport, None]) -> None:
        self._server = server
        self._connections = connections

    async def close(self) -> None:
        self._server.close()
        for transport in list(self._connections):
            transport.abort()


class RealNetwork:
    """The network of the operating system. `log` writes a line of the member's log."""

    def __init__(self, random: Random, log: Log) -> None:
        self._random = random
        self._log = log

    async def listen_peers(
        self, url: str, accept: Callable[[bytes], Callable[[bytes], None]]
    ) -> Closable:
        host, port = host_and_port(url)
        connections: dict[asyncio.Transport, None] = {}
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: FrameReceiver(accept, connections), host, port
            )
        except OSError as problem:
            raise address_error(url, problem) from problem
        return _PeerListener(server, connections)

    def dial_peer(self, url: str, hello: bytes, *, queue_bytes_max: int) -> TcpPeerLink:
        host, port = host_and_port(url)
        return TcpPeerLink(
            host=host, port=port, hello=hello, jitter=self._random.random,
            queue_bytes_max=queue_bytes_max,
        )

    async def serve_clients(
        self, url: str, api: Api, carriers: Carriers = Carriers.BOTH
    ) -> Closable:
        # The import of the servers takes half of a member's start. A thread does it, so
        # that the members find each other and elect a leader in the meantime.
        serve = await asyncio.to_thread(_import_servers)
        return await serve(url, api, self._log, carriers)


def _import_servers() -> Callable[[str, Api, Log, Carriers], Awaitable[Closable]]:
    # Otherwise grpcio writes lines of another format into the member's log.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from splitbrain.node.real.client_port import serve

    return serve
