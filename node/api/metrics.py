"""What a member tells Prometheus, under etcd's names; one registry a member.

Source: the metrics of etcd 3.5.1 (`server/etcdserver/metrics.go`, `wal/metrics.go`,
`backend/metrics.go`, `rafthttp/metrics.go`) and of go-grpc-prometheus.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

# etcd has no "_created" beside each counter.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_DISK_BUCKETS_S = tuple(0.001 * 2**power for power in range(14))
_RPC_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROUND_TRIP_BUCKETS_S = tuple(0.0001 * 2**power for power in range(16))


class Metrics:
    """`server_id`, `version`: constant labels, as text."""

    def __init__(self, server_id: str = "", version: str = "") -> None:
        self.registry = CollectorRegistry()
        self._make_server_metrics(server_id, version)
        self._make_disk_metrics()
        self._make_peer_metrics()
        self._make_client_metrics()

    def _make_server_metrics(self, server_id: str, version: str) -> None:
        self.has_leader = self._gauge(
            "etcd_server_has_leader", "Whether a leader is known: 1, else 0."
        )
        self.is_leader = self._gauge(
            "etcd_server_is_leader", "Whether this member leads: 1, else 0."
        )
        self.leader_changes = self._counter(
            "etcd_server_leader_changes_seen_total", "Changes of leader that this member saw."
        )
        # Gauges in etcd too, the names notwithstanding: they follow raft's indexes.
        self.proposals_committed = self._gauge(
            "etcd_server_proposals_committed_total", "The index up to which entries are committed."
        )
        self.proposals_applied = self._gauge(
            "etcd_server_proposals_applied_total", "The index up to which entries are applied."
        )
        self.proposals_pending = self._gauge(
            "etcd_server_proposals_pending", "Proposals of clients that wait for their result."
        )
        self.proposals_failed = self._counter(
            "etcd_server_proposals_failed_total", "Proposals that ended without a result."
        )
        self.read_indexes_failed = self._counter(
            "etcd_server_read_indexes_failed_total", "Linearizable reads that no leader confirmed."
        )
        # A counter's name would end in "_total"; etcd's do not.
        self.health_success = self._gauge(
            "etcd_server_health_success", "Health checks that found the member healthy."
        )
        self.health_failures = self._gauge(
            "etcd_server_health_failures", "Health checks that did not."
        )
        self._gauge("etcd_server_id", "This member.", ("server_id",)).labels(server_id).set(1)
        self._gauge("etcd_server_version", "What this member runs.", ("server_version",)).labels(
            version
        ).set(1)

    def _make_disk_metrics(self) -> None:
        self.wal_fsync = self._histogram(
            "etcd_disk_wal_fsync_duration_seconds", "Syncs of the write-ahead log.", _DISK_BUCKETS_S
        )
        self.backend_commit = self._histogram(
            "etcd_disk_backend_commit_duration_seconds",
            "Transactions of the backend made durable.",
            _DISK_BUCKETS_S,
        )
        self.database_size = self._gauge(
            "etcd_mvcc_db_total_size_in_bytes", "The backend's size on disk."
        )
        self.database_size_in_use = self._gauge(
            "etcd_mvcc_db_total_size_in_use_in_bytes", "Of that, what holds data."
        )
        self.keys = self._gauge("etcd_debugging_mvcc_keys_total", "Keys in the store.")

    def _make_peer_metrics(self) -> None:
        self.peer_sent_bytes = self._counter(
            "etcd_network_peer_sent_bytes_total", "Bytes sent to a peer.", ("To",)
        )
        self.peer_received_bytes = self._counter(
            "etcd_network_peer_received_bytes_total", "Bytes received from a peer.", ("From",)
        )
        self.peer_sent_failures = self._counter(
            "etcd_network_peer_sent_failures_total",
            "Messages to a peer that were dropped.",
            ("To",),
        )
        self.peer_round_trip = Histogram(
            "etcd_network_peer_round_trip_time_seconds",
            "From this member to a peer and back.",
            ("To",),
            buckets=_ROUND_TRIP_BUCKETS_S,
            registry=self.registry,
        )

    def _make_client_metrics(self) -> None:
        labels = ("grpc_method", "grpc_service", "grpc_type")
        self.requests_handled = self._counter(
            "grpc_server_handled_total",
            "Requests answered, well or not.",
            (*labels, "grpc_code"),
        )
        self.request_seconds = Histogram(
            "grpc_server_handling_seconds",
            "How long requests took.",
            labels,
            buckets=_RPC_BUCKETS_S,
            registry=self.registry,
        )

    def _gauge(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, help_text, labels, registry=self.registry)

    def _counter(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, help_text, buckets=buckets, registry=self.registry)

    def read_when_asked(self, gauge: Gauge, read: Callable[[], float]) -> None:
        """Let a gauge ask the member instead of being told."""
        gauge.set_function(read)

    def render(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
