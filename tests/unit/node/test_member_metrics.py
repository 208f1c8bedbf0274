"""The values in /metrics are those of the member's store, status and traffic."""

from __future__ import annotations

import re

from splitbrain.node.member_metrics import MemberMetrics, export
from splitbrain.node.messages.rpc import StatusResponse
from splitbrain.node.mvcc.store import Store
from splitbrain.node.storage.memory_backend import MemoryBackend
from splitbrain.node.transport import Traffic


def values_of(metrics: MemberMetrics) -> dict[str, float]:
    lines = re.findall(rb"^([a-z_]+(?:\{.*\})?) (\S+)$", metrics.render(), re.MULTILINE)
    return {name.decode(): float(value) for name, value in lines}


def test_metrics_of_the_store_and_the_status_are_read_at_each_request() -> None:
    store = Store(MemoryBackend())
    metrics = MemberMetrics(7, "3.5.1")
    export(metrics, lambda: StatusResponse(raft_index=9, raft_applied_index=8), lambda: 2, store)
    for key in (b"a", b"b", b"a"):
        transaction = store.write()
        transaction.put(key, b"v")
        transaction.end()
    store.compact(3)
    store.watches.create(b"a")
    values = values_of(metrics)
    assert values["etcd_debugging_mvcc_keys_total"] == 2
    assert values["etcd_debugging_mvcc_current_revision"] == 4
    assert values["etcd_debugging_mvcc_compact_revision"] == 3
    assert values["etcd_debugging_mvcc_watcher_total"] == 1
    assert values["etcd_server_proposals_committed_total"] == 9
    assert values["etcd_server_proposals_applied_total"] == 8
    assert values["etcd_server_proposals_pending"] == 2


def test_the_operations_of_the_store_are_counted() -> None:
    store = Store(MemoryBackend())
    metrics = MemberMetrics(7, "3.5.1")
    export(metrics, lambda: StatusResponse(is_learner=True), lambda: 0, store)
    for keys in ((b"a",), (b"b", b"cc")):
        transaction = store.write()
        for key in keys:
            transaction.put(key, b"12")
        transaction.end()
    transaction = store.write()
    transaction.delete_range(b"a", b"c")
    transaction.range(b"b")
    transaction.end()
    store.range(b"a", b"z")
    values = values_of(metrics)
    assert values["etcd_mvcc_put_total"] == 3
    assert values["etcd_mvcc_delete_total"] == 1
    assert values["etcd_mvcc_range_total"] == 2
    assert values["etcd_mvcc_txn_total"] == 2
    assert values["etcd_debugging_mvcc_total_put_size_in_bytes"] == 10
    assert values["etcd_server_is_learner"] == 1
    assert values['etcd_cluster_version{cluster_version="3.5"}'] == 1


def test_the_traffic_of_a_peer_is_labelled_with_its_id() -> None:
    metrics = MemberMetrics(7, "3.5.1")
    metrics.export_peers({"ab12": Traffic(sent_bytes=10, received_bytes=20, failures=3)})
    values = values_of(metrics)
    assert values['etcd_network_peer_sent_bytes_total{To="ab12"}'] == 10
    assert values['etcd_network_peer_received_bytes_total{From="ab12"}'] == 20
    assert values['etcd_network_peer_sent_failures_total{To="ab12"}'] == 3


def test_durations_are_counted_in_cumulative_buckets() -> None:
    metrics = MemberMetrics(7, "3.5.1")
    for milliseconds in (0, 1, 2, 3, 100_000):
        metrics.wal_synced(milliseconds * 1_000_000)
    values = values_of(metrics)
    name = "etcd_disk_wal_fsync_duration_seconds"
    bounds = ("0.001", "0.002", "0.004", "8.192", "+Inf")
    counts = [values[f'{name}_bucket{{le="{bound}"}}'] for bound in bounds]
    assert counts == [2, 3, 4, 4, 5]
    assert (values[f"{name}_count"], values[f"{name}_sum"]) == (5, 100.006)
