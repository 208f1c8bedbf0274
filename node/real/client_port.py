"""Listens for clients, and serves gRPC and HTTP/1 on one port.

The first bytes of a connection decide how it is served. If they are the preface of HTTP/2, the
client speaks gRPC, and the connection is spliced to grpcio's server, which listens at an internal
address. Otherwise the client speaks HTTP/1, and an `HttpConnection` takes over the transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from splitbrain.node.api.client_network import Carriers
from splitbrain.node.api.grpc_server import GrpcServer
from splitbrain.node.api.http import HttpGateway
from splitbrain.node.api.keepalive import Keepalive
from splitbrain.node.api.member_interface import Log
from splitbrain.node.api.v3_service import Api
from splitbrain.node.real.client_splice import Splices
from splitbrain.node.real.http_server import HttpServer
from splitbrain.node.real.listen_address import address_error, host_and_port
from splitbrain.node.real.tls import Tls, common_name
from splitbrain.node.real.tls_listener import BACKLOG, TlsListener
from splitbrain.node.world import Closable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The first bytes of a client that speaks HTTP/2. Source: RFC 9113, section 3.4."""

MakeProtocol = Callable[[], asyncio.Protocol]


class _FirstBytes(asyncio.Protocol):
    """A new connection whose first bytes have not arrived yet.

    The first bytes decide whether `grpc` or `http` serves the connection. If one of the two is
    None, the other one serves every connection. With `by_certificate`, a client of gRPC can be
    identified by the common name in its certificate.
    """

    def __init__(
        self,
        grpc: Splices | None,
        http: MakeProtocol | None,
        undecided: dict[asyncio.Transport, None],
        *,
        by_certificate: bool,
    ) -> None:
        self._by_certificate = by_certificate
        self._grpc = grpc
        self._http = http
        self._undecided = undecided
        self._transport: asyncio.Transport | None = None
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._undecided[self._transport] = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._undecided.pop(self._transport, None)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        first = self._first = self._first + data
        if self._http is None or (self._grpc is not None and first.startswith(PREFACE)):
            self._undecided.pop(self._transport)
            assert self._grpc is not None
            name = ""
            if self._by_certificate:
                name = common_name(self._transport.get_extra_info("peercert"))
            self._grpc.splice(self._transport, first, name)
        elif self._grpc is None or not PREFACE.startswith(first):
            self._undecided.pop(self._transport)
            chosen = self._http()
            self._transport.set_protocol(chosen)
            chosen.connection_made(self._transport)
            chosen.data_received(first)


class ClientPort:
    """Serves one `Api` over gRPC, HTTP/1 or both, as `carriers` selects.

    `listen` opens the port.
    """

    def __init__(
        self, api: Api, log: Log, carriers: Carriers, *, tls: Tls | None, keepalive: Keepalive
    ) -> None:
        self._tls = None if tls is None else TlsListener(tls, self._protocol, log)
        self._by_certificate = tls is not None and tls.settings.client_cert_auth
        self._gateway = HttpGateway(api)
        self._http = None if carriers is Carriers.GRPC else HttpServer(self._gateway, log)
        self._splices = None if carriers is Carriers.HTTP else Splices(log)
        self._grpc = (
            None if self._splices is None
            else GrpcServer(api, log, self._splices.common_name, keepalive)
        )
        self._undecided: dict[asyncio.Transport, None] = {}
        self._listener: asyncio.Server | None = None

    def _protocol(self) -> asyncio.Protocol:
        return _FirstBytes(
            self._splices, None if self._http is None else self._http.connection,
            self._undecided, by_certificate=self._by_certificate
        )

    async def listen(self, url: str) -> None:
        """Listen at `url`, such as "http://127.0.0.1:2379".

        Raises AddressInUse if the port cannot be opened.
        """
        host, port = host_and_port(url)
        if self._grpc is not None and self._splices is not None:
            await self._grpc.start(self._splices.address)
        try:
            if self._tls is not None:
                await self._tls.listen(host, port)
            else:
                self._listener = await asyncio.get_running_loop().create_server(
                    self._protocol, host, port, backlog=BACKLOG
                )
        except OSError as problem:
            if self._grpc is not None:
                await self._grpc.close()
            raise address_error(url, problem) from problem

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._tls is not None:
            self._tls.close()
        for transport in list(self._undecided):
            transport.abort()
        self._gateway.end_streams()
        if self._grpc is not None and self._splices is not None:
            await self._grpc.close()
            self._splices.close()
        if self._http is not None:
            await self._http.close()


async def serve(
    url: str,
    api: Api,
    log: Log,
    carriers: Carriers = Carriers.BOTH,
    *,
    tls: Tls | None = None,
    keepalive: Keepalive | None = None,
) -> Closable:
    """Serve `api` at `url`. Closing the returned value closes the port. Raises AddressInUse.

    `carriers` selects the protocols. With `tls`, all connections are encrypted. `log` gets one line
    for each malformed request.
    """
    port = ClientPort(api, log, carriers, tls=tls, keepalive=keepalive or Keepalive())
    await port.listen(url)
    return port
