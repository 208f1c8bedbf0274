"""The certificates with which the harness connects to members that use TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ClientTls:
    """A client's certificate and key, and the authority that signs the members' certificates."""

    authority: Path
    cert: Path
    key: Path

    @cached_property
    def context(self) -> ssl.SSLContext:
        """Return the TLS context for HTTP connections to the members."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.cert, self.key)
        return context

    def credentials(self) -> Any:
        """Return the TLS credentials for gRPC connections to the members."""
        from splitbrain.harness.clients.grpc_library import grpc  # most runs do not need it

        return grpc.ssl_channel_credentials(
            self.authority.read_bytes(), self.key.read_bytes(), self.cert.read_bytes()
        )
