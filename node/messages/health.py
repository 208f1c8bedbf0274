"""Defines the requests and responses of gRPC's health service. Source: grpc.health.v1."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class ServingStatus(IntEnum):
    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


class HealthCheckRequest(msgspec.Struct, frozen=True):
    """Asks for the status of a service. `service` is empty for the whole server."""

    service: str = ""


class HealthCheckResponse(msgspec.Struct, frozen=True):
    status: int = ServingStatus.UNKNOWN
