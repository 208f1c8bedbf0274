"""Chooses the client of an etcd v3 store by its carrier: JSON over HTTP, or gRPC."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from splitbrain.harness.clients.grpc_client import GrpcClient, open_grpc_clients
from splitbrain.harness.clients.json_client import GatewayClient, open_clients
from splitbrain.harness.clients.tls import ClientTls

EtcdClient = GatewayClient | GrpcClient


def clients_of(
    carrier: str, tls: Callable[[], ClientTls | None]
) -> Callable[[int], AbstractAsyncContextManager[EtcdClient]]:
    """Return a function that opens a client whose requests have the carrier `carrier`.

    `carrier` is "json" or "grpc". The argument of the function is the timeout of a request in ms.
    `tls` is called whenever a client is opened; it returns None if the members have no TLS.
    """

    def opened(timeout_ms: int) -> AbstractAsyncContextManager[EtcdClient]:
        if carrier == "grpc":
            return open_grpc_clients(timeout_ms, tls())
        return open_clients(timeout_ms, tls())

    return opened
