"""TLS in a cluster of processes: the certificates, the members' flags, and the clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from splitbrain.harness.clients.tls import ClientTls
from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.member_addresses import Place
from splitbrain.harness.systems.tls.tls_probe import TlsProbe, UrlKind, probe_tls

if TYPE_CHECKING:
    from splitbrain.harness.systems.tls.certificates import ClusterCertificates


class Encryption:
    """The TLS of one cluster; it does nothing unless the settings demand TLS.

    `renew` creates the certificates.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self.scheme = "https" if settings.tls else "http"
        self.certificates: ClusterCertificates | None = None

    def renew(self, member_urls: Iterable[str]) -> None:
        """Create new certificates for the hosts of `member_urls`, next to the members' folders."""
        if self._settings.tls:
            # The import takes some time, and few runs need this module.
            from splitbrain.harness.systems.tls.certificates import ClusterCertificates

            hosts = [urlsplit(url).hostname or "" for url in member_urls]
            self.certificates = ClusterCertificates(self._settings.folder / "tls", hosts)

    @property
    def client(self) -> ClientTls | None:
        """Return the certificates of the cluster's clients; None without TLS."""
        return None if self.certificates is None else self.certificates.client

    def flags(self) -> tuple[str, ...]:
        """Return the members' command-line flags for TLS; () without TLS."""
        return () if self.certificates is None else self.certificates.flags()

    async def probe(self, places: Iterable[Place]) -> tuple[TlsProbe, ...]:
        """Test which connections the members at `places` accept."""
        if self.certificates is None:
            return ()
        urls: dict[str, dict[UrlKind, str]] = {
            one.name: {"client": one.client_url, "peer": one.peer_url} for one in places
        }
        return await probe_tls(self.certificates, urls)

    def session(self) -> aiohttp.ClientSession:
        """Open an HTTP session for requests to the members.

        Each request opens a new connection, because a fault may have broken an idle one. A request
        on a broken connection would fail although the member answers.
        """
        context = True if self.client is None else self.client.context
        connector = aiohttp.TCPConnector(limit=0, ssl=context, force_close=True)
        return aiohttp.ClientSession(connector=connector)
