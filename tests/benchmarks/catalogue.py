"""Lists the benchmarks by their names on the command line, each with its description."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from tests.benchmarks.figure import Figure

BENCHMARKS = {
    "store": "puts and linearizable gets per second over 1 to 128 connections; peer: etcd",
    "check_perf": "`etcdctl check perf` over gRPC: loads s and m, writes/s at l; peer: etcd",
    "put_costs": "where the CPU time of a put goes, over HTTP and over gRPC",
    "watchers": "events lost and late with 1,000 watchers on one member, 10 of them busy",
    "restart": "time and memory of a restart of a member with 1,000,000 keys",
    "start": "time from starting three members until all name one leader; peer: etcd",
    "new_leader": "time until another member leads, after SIGKILL and after SIGTERM of the leader",
    "memory": "resident memory of the largest member after 100,000 puts; peer: etcd",
    "driver": "operations per second that a run drives and records against etcd",
    "driver_alone": "operations per second that a run drives, against a server without a store",
    "watch": "CPU time of the checker `watch` over 1,250,000 events",
    "revisions": "CPU time and memory of the checker `mvcc` over 100,000 and 1,000,000 operations",
    "judging": "time of all checkers over a generated run of 100,000 operations",
    "porcupine": "CPU time of the linearizability checker on porcupine's data; peer: Go porcupine",
    "transactions": "time to read and check 100,000 and 1,000,000 list-append transactions",
    "proxies": "rate and latency of puts to etcd through proxies; peer: etcd without proxies",
    "simulation": "simulated seconds per CPU second, idle and under faults; speed-up by 2 workers",
    "workers": "runs per second of a campaign on 2 local workers and on Dask, over one process",
    "runs_database": "time of queries and trends of a store of 1,000,000 runs",
    "report": "CPU time to write, open and zoom the report of 100,000 operations",
    "raft_core": "time of ticks, proposals and reads in Raft without disk, network or encoding",
}


def run(name: str) -> list[Figure]:
    """Run the benchmark `name` in this process and return its figures."""
    module = importlib.import_module(f"tests.benchmarks.{name}")
    return cast("Callable[[], list[Figure]]", module.run)()
