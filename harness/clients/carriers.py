"""The clients of an etcd v3 store, by the carrier of their requests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from splitbrain.harness.clients.grpc_client import GrpcClient, open_grpc_clients
from splitbrain.harness.clients.json_client import GatewayClient, open_clients

EtcdClient = GatewayClient | GrpcClient


def clients_of(carrier: str) -> Callable[[int], AbstractAsyncContextManager[EtcdClient]]:
    """Return the function that opens a client for `carrier`, "json" or "grpc".

    Its argument is the timeout of a request in ms.
    """
    return open_grpc_clients if carrier == "grpc" else open_clients
