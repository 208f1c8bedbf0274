"""The metrics of a member have the names, types, labels and counts that they have in etcd 3.5.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conformance.grpc_calls import call
from tests.conformance.server_pair import (
    OURS_COMMAND,
    Server,
    encoded,
    etcd_binary,
    start_server,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.etcd,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`"),
]

PUT: dict[str, object] = {"key": encoded(b"a"), "value": encoded(b"1")}
REQUESTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("/v3/kv/put", PUT),
    ("/v3/kv/put", {**PUT, "lease": 7}),
    ("/v3/kv/range", {"key": encoded(b"a"), "range_end": encoded(b"c")}),
    ("/v3/kv/txn", {"success": [{"request_put": PUT}, {"request_range": {"key": PUT["key"]}}]}),
    ("/v3/kv/txn", {"success": [{"request_put": PUT}]}),
    ("/v3/kv/deleterange", {"key": encoded(b"a")}),
    ("/v3/kv/deleterange", {"key": encoded(b"a")}),
    ("/v3/lease/grant", {"ID": 5, "TTL": 600}),
    ("/v3/lease/revoke", {"ID": 5}),
    ("/v3/maintenance/hash", {}),
    ("/v3/maintenance/defragment", {}),
    ("/v3/maintenance/snapshot", {}),
)
INCREASED = (
    "etcd_mvcc_put_total", "etcd_mvcc_delete_total", "etcd_mvcc_range_total", "etcd_mvcc_txn_total",
    "etcd_debugging_mvcc_total_put_size_in_bytes", "etcd_debugging_mvcc_keys_total",
    "etcd_debugging_lease_granted_total", "etcd_debugging_lease_revoked_total",
    "etcd_mvcc_hash_duration_seconds_count", "etcd_disk_backend_defrag_duration_seconds_count",
    "etcd_disk_backend_snapshot_duration_seconds_count",
    "etcd_network_client_grpc_received_bytes_total",
)  # fmt: skip
EQUAL = (
    "etcd_server_has_leader", "etcd_server_is_leader", "etcd_server_is_learner",
    "etcd_server_quota_backend_bytes", "etcd_debugging_mvcc_current_revision",
)  # fmt: skip
ONLY_WITH_A_FLAG = {"grpc_server_handling_seconds"}
"""etcd has these metrics only with `--metrics extensive`."""

GAUGES_INSTEAD_OF_COUNTERS = {"etcd_server_health_success", "etcd_server_health_failures"}
"""prometheus_client would add `_total` to the names of these counters."""


class Shape(NamedTuple):
    """The type of a metric, and the names of its labels."""

    kind: str
    labels: frozenset[str]


class Metrics(NamedTuple):
    shapes: dict[str, Shape]
    values: dict[str, float]


def metrics_of(server: Server) -> Metrics:
    text = server.call("GET", "/metrics", b"").body.decode()
    shapes, values = {}, {}
    for family in text_string_to_metric_families(text):
        if family.samples:
            labels = frozenset().union(*(one.labels for one in family.samples))
            shapes[family.name] = Shape(family.type, labels)
        for one in family.samples:
            values[one.name + json.dumps(one.labels)] = one.value
            values[one.name] = one.value
    return Metrics(shapes, values)


def handled(metrics: Metrics) -> dict[str, float]:
    """The numbers of answered requests that are not 0, by their labels."""
    counter = 'grpc_server_handled_total{"'
    return {name: count for name, count in metrics.values.items() if counter in name and count}


def test_the_metrics_are_those_of_etcd(tmp_path: Path) -> None:
    binary = etcd_binary()
    assert binary is not None
    before: list[dict[str, float]] = []
    found = []
    for name, program in (("ours", OURS_COMMAND), ("etcd", [binary])):
        server = start_server(name, program, tmp_path / name, tmp_path / f"{name}.log")
        try:
            before.append(metrics_of(server).values)  # etcd's /health reads a key
            for path, body in REQUESTS:
                call(server, path, json.dumps(body).encode())
            found.append(metrics_of(server))
        finally:
            server.stop()
    ours, theirs = found
    compared = ours.shapes.keys() - ONLY_WITH_A_FLAG - GAUGES_INSTEAD_OF_COUNTERS
    assert {name: ours.shapes[name] for name in compared} == {
        name: theirs.shapes.get(name) for name in compared
    }
    increased = [
        {name: after.values[name] - earlier[name] for name in INCREASED}
        for earlier, after in zip(before, found, strict=True)
    ]
    assert increased[0] == increased[1]
    assert {name: ours.values[name] for name in EQUAL} == {
        name: theirs.values[name] for name in EQUAL
    }
    assert handled(ours) == handled(theirs)
    assert sum(handled(ours).values()) == len(REQUESTS)
