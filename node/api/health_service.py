"""Answers gRPC's health checks, by which load balancers decide whether to use this member.

As in etcd 3.5.1, the only known service is the whole server, which has an empty name. Its status is
always SERVING. The path `/health` of the HTTP port shows whether this member can serve requests.

Source: grpc.health.v1; etcd 3.5.1, `server/etcdserver/api/v3rpc/grpc.go`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.messages.health import (
    HealthCheckRequest,
    HealthCheckResponse,
    ServingStatus,
)


async def check(request: HealthCheckRequest) -> HealthCheckResponse:
    if request.service:
        raise RpcError(Code.NOT_FOUND, "unknown service")
    return HealthCheckResponse(ServingStatus.SERVING)


async def watch(request: HealthCheckRequest) -> AsyncGenerator[HealthCheckResponse, None]:
    """Yield the status of a service, and keep the stream open. The status never changes."""
    known = not request.service
    yield HealthCheckResponse(ServingStatus.SERVING if known else ServingStatus.SERVICE_UNKNOWN)
    await asyncio.Event().wait()
