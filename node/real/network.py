"""Implements a member's network: TCP or TLS between members, gRPC and HTTP for clients."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from splitbrain.node.api.client_network import Carriers
from splitbrain.node.api.keepalive import Keepalive
from splitbrain.node.api.member_interface import Log
from splitbrain.node.api.v3_service import Api
from splitbrain.node.config import Config, ConfigError
from splitbrain.node.real.huge_pages import use_huge_pages
from splitbrain.node.real.listen_address import address_error, host_and_port
from splitbrain.node.real.peer_connection import FrameReceiver, TcpPeerLink
from splitbrain.node.real.tls import Tls
from splitbrain.node.real.tls_listener import TlsListener
from splitbrain.node.tls_settings import NO_PEER_TLS, TlsSettings
from splitbrain.node.world import Closable


class _PeerListener:
    def __init__(
        self,
        listening: asyncio.Server | TlsListener,
        connections: dict[asyncio.Transport, None],
    ) -> None:
        self._listening = listening
        self._connections = connections

    async def close(self) -> None:
        self._listening.close()
        for transport in list(self._connections):
            transport.abort()


class RealNetwork:
    """The network of the operating system. `log` writes a line into the member's log.

    `configure` must be called before an https URL is used.
    """

    def __init__(self, random: Random, log: Log) -> None:
        self._random = random
        self._log = log
        self._keepalive = Keepalive()
        self._client_tls: Tls | None = None
        self._peer_tls: Tls | None = None

    def configure(self, config: Config) -> None:
        """Use the settings of `config` that concern connections.

        Load the certificates, or create them. Raises ConfigError if a certificate cannot be loaded
        or created.
        """
        self._keepalive = Keepalive(
            min_time_ms=config.keepalive_min_time_ms,
            interval_ms=config.keepalive_interval_ms,
            timeout_ms=config.keepalive_timeout_ms,
        )
        clients = (*config.listen_client_urls, *config.listen_client_http_urls)
        self._client_tls = self._tls(config, config.client_tls, clients, "client")
        self._peer_tls = self._tls(config, config.peer_tls, config.listen_peer_urls, "peer")

    def _tls(
        self, config: Config, settings: TlsSettings, urls: tuple[str, ...], kind: str
    ) -> Tls | None:
        if not settings.serves:
            return None
        if settings.auto:
            # The import takes some time, and few members need it.
            from splitbrain.node.real.self_signed import self_signed

            folder = Path(config.data_dir) / "fixtures" / kind
            hosts = [host_and_port(url)[0] for url in urls]
            try:
                cert, key = self_signed(folder, hosts, config.self_signed_years)
            except OSError as problem:
                raise ConfigError(f"cannot make a certificate in {folder}: {problem}") from problem
            settings = replace(settings, cert_file=str(cert), key_file=str(key))
        return Tls(settings, self._log)

    async def listen_peers(
        self, url: str, accept: Callable[[bytes], Callable[[bytes], None]]
    ) -> Closable:
        host, port = host_and_port(url)
        connections: dict[asyncio.Transport, None] = {}

        def receiver() -> FrameReceiver:
            return FrameReceiver(accept, connections)

        listening: asyncio.Server | TlsListener
        try:
            if url.startswith("https://"):
                assert self._peer_tls is not None, "the configuration was checked"
                listening = TlsListener(self._peer_tls, receiver, self._log)
                await listening.listen(host, port)
            else:
                loop = asyncio.get_running_loop()
                listening = await loop.create_server(receiver, host, port)
        except OSError as problem:
            raise address_error(url, problem) from problem
        return _PeerListener(listening, connections)

    def dial_peer(self, url: str, hello: bytes, *, queue_bytes_max: int) -> TcpPeerLink:
        host, port = host_and_port(url)
        return TcpPeerLink(
            host=host, port=port, hello=hello, jitter=self._random.random,
            queue_bytes_max=queue_bytes_max, log=self._log,
            tls=self._dialling_tls() if url.startswith("https://") else None,
        )

    def _dialling_tls(self) -> Tls:
        """Return the TLS settings for links to peers.

        A member without its own certificates accepts peers whose certificates the system trusts.
        """
        if self._peer_tls is None:
            self._peer_tls = Tls(NO_PEER_TLS, self._log)
        return self._peer_tls

    async def serve_clients(
        self, url: str, api: Api, carriers: Carriers = Carriers.BOTH
    ) -> Closable:
        # The import of the servers takes half of a member's start. A thread does it, so
        # that the members find each other and elect a leader in the meantime.
        serve = await asyncio.to_thread(_import_servers)
        tls = self._client_tls if url.startswith("https://") else None
        return await serve(url, api, self._log, carriers, tls=tls, keepalive=self._keepalive)


def _import_servers() -> Callable[..., Awaitable[Closable]]:
    # Otherwise grpcio writes lines of another format into the member's log.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from splitbrain.node.real.client_port import serve

    use_huge_pages()
    return serve
