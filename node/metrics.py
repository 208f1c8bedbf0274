"""Defines the metrics of a member in Prometheus' format, under etcd's names.

Each member has its own registry.

Source: the metrics of etcd 3.5.1 (`server/etcdserver/metrics.go`, `wal/metrics.go`,
`backend/metrics.go`, `rafthttp/metrics.go`) and of go-grpc-prometheus.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

# etcd has no "_created" series for its counters.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_DISK_BUCKETS_S = tuple(0.001 * 2**power for power in range(14))
_TTL_BUCKETS_S = tuple(2.0**power for power in range(24))
_MAINTENANCE_BUCKETS_S = tuple(0.01 * 2**power for power in range(17))
_DEFRAGMENTATION_BUCKETS_S = tuple(0.1 * 2**power for power in range(13))
_RPC_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class PeerTraffic(Protocol):
    """The traffic between this member and one peer since the start."""

    sent_bytes: int
    received_bytes: int
    failures: int
    """The number of frames to the peer that were dropped."""


class ClientTraffic:
    """The bytes of gRPC messages that this member and its clients have sent to each other."""

    __slots__ = ("received_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.received_bytes = 0
        self.sent_bytes = 0


class OperationCounts(Protocol):
    """How many operations a store has executed. `splitbrain.node.mvcc` counts them."""

    ranges: int
    puts: int
    put_bytes: int
    deletes: int
    transactions: int


class LeaseNumbers(Protocol):
    """Counters of what happened to leases since the member started.

    `splitbrain.node.lease.counts` counts them.
    """

    granted: int
    revoked: int
    renewed: int
    expired: int

    @property
    def ttls_s(self) -> Mapping[int, int]:
        """How many leases were granted with each time to live. The keys are in seconds."""
        ...


class Metrics:
    """The metrics of one member. `server_id` and `version` become constant labels."""

    def __init__(self, server_id: str = "", version: str = "") -> None:
        self.registry = CollectorRegistry()
        self._make_server_metrics(server_id, version)
        self._make_disk_metrics()
        self._make_client_metrics()

    def _make_server_metrics(self, server_id: str, version: str) -> None:
        self.has_leader = self._gauge(
            "etcd_server_has_leader", "1 if this member knows a leader, else 0."
        )
        self.is_leader = self._gauge(
            "etcd_server_is_leader", "1 if this member is the leader, else 0."
        )
        self.leader_changes = self._counter(
            "etcd_server_leader_changes_seen_total", "Leader changes that this member has seen."
        )
        # Despite their names these are gauges in etcd, too: they are Raft indexes.
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
        # These are gauges, because the name of a counter would end in "_total".
        self.health_success = self._gauge(
            "etcd_server_health_success", "Health checks that found the member healthy."
        )
        self.health_failures = self._gauge(
            "etcd_server_health_failures", "Health checks that found the member unhealthy."
        )
        self.quota = self._gauge(
            "etcd_server_quota_backend_bytes", "The backend's size at which writes are refused."
        )
        own_id = self._gauge("etcd_server_id", "The id of this member.", ("server_id",))
        own_id.labels(server_id).set(1)
        release = self._gauge(
            "etcd_server_version", "The etcd release whose API is served.", ("server_version",)
        )
        release.labels(version).set(1)
        cluster = self._gauge(
            "etcd_cluster_version", "The version of the cluster.", ("cluster_version",)
        )
        cluster.labels(".".join(version.split(".")[:2])).set(1)
        self.is_learner = self._gauge(
            "etcd_server_is_learner", "1 if this member is a learner, else 0."
        )

    def _make_disk_metrics(self) -> None:
        self.wal_fsync = self._durations(
            "etcd_disk_wal_fsync_duration_seconds", "Syncs of the write-ahead log."
        )
        self.backend_commit = self._durations(
            "etcd_disk_backend_commit_duration_seconds",
            "Commits of the backend to the disk.",
        )
        self.defragmentation = self._durations(
            "etcd_disk_backend_defrag_duration_seconds", "Defragmentations of the backend.",
            _DEFRAGMENTATION_BUCKETS_S,
        )
        self.snapshot = self._durations(
            "etcd_disk_backend_snapshot_duration_seconds", "Snapshots that clients have read.",
            _MAINTENANCE_BUCKETS_S,
        )
        self.hashing = self._durations(
            "etcd_mvcc_hash_duration_seconds", "Computations of the hash of the backend.",
            _MAINTENANCE_BUCKETS_S[:15],
        )
        self.hashing_revision = self._durations(
            "etcd_mvcc_hash_rev_duration_seconds", "Computations of the hash of a revision.",
            _MAINTENANCE_BUCKETS_S[:15],
        )
        self.database_size = self._gauge(
            "etcd_mvcc_db_total_size_in_bytes", "The backend's size on disk."
        )
        self.database_size_in_use = self._gauge(
            "etcd_mvcc_db_total_size_in_use_in_bytes", "The backend's size without free pages."
        )
        self.keys = self._gauge("etcd_debugging_mvcc_keys_total", "Keys in the store.")
        self.current_revision = self._gauge(
            "etcd_debugging_mvcc_current_revision", "The store's revision."
        )
        self.compact_revision = self._gauge(
            "etcd_debugging_mvcc_compact_revision", "The compacted revision."
        )
        self.auth_revision = self._gauge(
            "etcd_debugging_auth_revision", "The revision of users, roles and permissions."
        )
        self.watchers = self._gauge("etcd_debugging_mvcc_watcher_total", "Watchers.")
        self.slow_watchers = self._gauge(
            "etcd_debugging_mvcc_slow_watcher_total", "Watchers that have not caught up."
        )

    def export_peers(self, traffic: Mapping[str, PeerTraffic]) -> None:
        """Export the traffic with each peer. The keys are peer ids in hexadecimal."""
        self.registry.register(_Peers(traffic))

    def export_operations(self, counts: OperationCounts) -> None:
        """Export the counters of operations on the store in `counts`."""
        self.registry.register(_Operations(counts))

    def export_leases(self, counts: LeaseNumbers) -> None:
        """Export the counters of leases in `counts`."""
        self.registry.register(_Leases(counts))

    def _make_client_metrics(self) -> None:
        self.requests = Requests()
        self.registry.register(self.requests)
        self.client_traffic = ClientTraffic()
        self.registry.register(_Clients(self.client_traffic))

    def _gauge(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, help_text, labels, registry=self.registry)

    def _counter(self, name: str, help_text: str) -> Counter:
        return Counter(name, help_text, registry=self.registry)

    def _durations(
        self, name: str, help_text: str, bounds_s: Sequence[float] = _DISK_BUCKETS_S
    ) -> Durations:
        durations = Durations(name, help_text, bounds_s)
        self.registry.register(durations)
        return durations

    def read_when_asked(self, gauge: Gauge, read: Callable[[], float]) -> None:
        """Let the gauge `gauge` get its value from `read` whenever /metrics is requested."""
        gauge.set_function(read)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class Durations(Collector):
    """A histogram of durations that only one thread may fill.

    It is faster than `prometheus_client.Histogram`, which acquires two locks for each duration.
    """

    def __init__(self, name: str, help_text: str, bounds_s: Sequence[float]) -> None:
        self._name = name
        self._help_text = help_text
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds_s, seconds)] += 1
        self._sum_s += seconds

    def collect(self) -> Iterator[Metric]:
        names = [*map(floatToGoString, self._bounds_s), "+Inf"]
        counts = list(zip(names, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(
            self._name, self._help_text, buckets=counts, sum_value=self._sum_s
        )


class MethodCounts:
    """Counts the requests of one method. It is used from one thread only.

    `handled` contains the number of answers for each code. `bounded` contains the number of answers
    for each bucket of the duration histogram.
    """

    __slots__ = ("bounded", "handled", "started", "sum_s")

    def __init__(self, codes: Iterable[str]) -> None:
        self.started = 0
        self.handled = dict.fromkeys(codes, 0)
        self.bounded = [0] * (len(_RPC_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def begin(self) -> None:
        """Count a request that has arrived."""
        self.started += 1

    def end(self, code: str, seconds: float) -> None:
        """Count the answer to a request, with its code and its duration."""
        self.handled[code] += 1
        self.bounded[bisect_left(_RPC_BUCKETS_S, seconds)] += 1
        self.sum_s += seconds


class Requests(Collector):
    """The requests of all methods, under the names of go-grpc-prometheus.

    Counting is faster than with the classes of prometheus_client, which take several locks for each
    request.
    """

    def __init__(self) -> None:
        self._methods: dict[tuple[str, str, str], MethodCounts] = {}

    def of(self, method: str, service: str, kind: str, codes: Iterable[str]) -> MethodCounts:
        """Return the counts of a method. `codes` are the codes that its answers can have."""
        return self._methods.setdefault((method, service, kind), MethodCounts(codes))

    def collect(self) -> Iterator[Metric]:
        labels = ("grpc_method", "grpc_service", "grpc_type")
        started = CounterMetricFamily(
            "grpc_server_started", "Requests that were received.", labels=labels
        )
        handled = CounterMetricFamily(
            "grpc_server_handled", "Requests that were answered, successfully or not.",
            labels=(*labels, "grpc_code"),
        )
        seconds = HistogramMetricFamily(
            "grpc_server_handling_seconds", "The duration of requests.", labels=labels
        )
        bounds = [*map(floatToGoString, _RPC_BUCKETS_S), "+Inf"]
        for values, counts in self._methods.items():
            started.add_metric(values, counts.started)
            for code, number in counts.handled.items():
                handled.add_metric((*values, code), number)
            buckets = list(zip(bounds, accumulate(counts.bounded), strict=True))
            seconds.add_metric(values, buckets, counts.sum_s)
        yield from (started, handled, seconds)


class _Peers(Collector):
    """Exports the traffic counters of the transport when /metrics is requested."""

    def __init__(self, traffic: Mapping[str, PeerTraffic]) -> None:
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        read: tuple[tuple[str, str, str, Callable[[PeerTraffic], int]], ...] = (
            ("sent_bytes", "Bytes sent to a peer.", "To", lambda one: one.sent_bytes),
            ("received_bytes", "Bytes received from a peer.", "From",
             lambda one: one.received_bytes),
            ("sent_failures", "Sends to a peer that were dropped.", "To",
             lambda one: one.failures),
        )
        for name, text, label, value in read:
            family = CounterMetricFamily(f"etcd_network_peer_{name}", text, labels=(label,))
            for peer, traffic in self._traffic.items():
                family.add_metric((peer,), value(traffic))
            yield family


class _Clients(Collector):
    """Exports the traffic with clients when /metrics is requested."""

    def __init__(self, traffic: ClientTraffic) -> None:
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        for name, text, value in (
            ("received", "Bytes received from gRPC clients.", self._traffic.received_bytes),
            ("sent", "Bytes sent to gRPC clients.", self._traffic.sent_bytes),
        ):
            yield CounterMetricFamily(f"etcd_network_client_grpc_{name}_bytes", text, value=value)


class _Operations(Collector):
    """Exports the counters of operations on the store when /metrics is requested."""

    def __init__(self, counts: OperationCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        counts = self._counts
        for name, text, value in (
            ("range", "Ranges that this member has read.", counts.ranges),
            ("put", "Puts that this member has applied.", counts.puts),
            ("delete", "Deletes that this member has applied.", counts.deletes),
            ("txn", "Transactions with more than one operation.", counts.transactions),
        ):
            yield CounterMetricFamily(f"etcd_mvcc_{name}", text, value=value)
        yield GaugeMetricFamily(
            "etcd_debugging_mvcc_total_put_size_in_bytes",
            "Bytes of the keys and values of all puts.", value=counts.put_bytes,
        )


class _Leases(Collector):
    """Exports the counters of leases when /metrics is requested."""

    def __init__(self, counts: LeaseNumbers) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        counts = self._counts
        for name, text, value in (
            ("etcd_debugging_lease_granted", "Leases that were granted.", counts.granted),
            ("etcd_debugging_lease_revoked", "Leases that have ended.", counts.revoked),
            ("etcd_debugging_lease_renewed", "Renewals on this leader.", counts.renewed),
            ("etcd_debugging_server_lease_expired", "Leases that expired on this leader.",
             counts.expired),
        ):
            yield CounterMetricFamily(name, text, value=value)
        bounds = [*_TTL_BUCKETS_S, float("inf")]
        below = [
            sum(number for ttl_s, number in counts.ttls_s.items() if ttl_s <= bound)
            for bound in bounds
        ]
        names = [*map(floatToGoString, _TTL_BUCKETS_S), "+Inf"]
        yield HistogramMetricFamily(
            "etcd_debugging_lease_ttl_total", "Times to live of the granted leases.",
            buckets=list(zip(names, below, strict=True)),
            sum_value=sum(ttl_s * number for ttl_s, number in counts.ttls_s.items()),
        )
