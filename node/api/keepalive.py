"""The settings for pings on gRPC connections. Source: etcd's --grpc-keepalive flags."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """When the member sends pings on a gRPC connection, and how often a client may send them.

    A client is disconnected if two of its pings follow each other in less than `min_time_ms`. It is
    also disconnected if it pings while it has no open stream. The member pings a client that was
    silent for `interval_ms` (0: never). It disconnects the client if no answer arrives within
    `timeout_ms`.
    """

    min_time_ms: int = 5_000
    interval_ms: int = 7_200_000
    timeout_ms: int = 20_000
