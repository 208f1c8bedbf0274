"""The times of pings on gRPC's connections. Source: etcd's --grpc-keepalive flags."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """The times of HTTP/2's pings.

    A client that pings more often than every `min_time_ms`, or without a stream, is disconnected.
    The member pings a client that is silent for `interval_ms` (0: never), and disconnects it if it
    does not answer within `timeout_ms`.
    """

    min_time_ms: int = 5_000
    interval_ms: int = 7_200_000
    timeout_ms: int = 20_000
