"""The benchmarks by the names that a user types."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from tests.benchmarks.figure import Figure

BENCHMARKS = {
    "store": "puts and linearizable gets a second at 1, 8 and 32 connections, beside etcd",
    "start": "from starting three members to a leader, beside etcd",
    "memory": "memory of a member after 100,000 puts, beside etcd",
    "driver": "operations a second that a run drives and records against etcd",
    "driver_alone": "the same against a store that answers at once: the harness itself",
    "watch": "the checker of watches over 1,250,000 events",
    "revisions": "the checker that orders by revisions over 100,000 and 1,000,000 operations",
    "judging": "all checkers over 100,000 recorded operations",
    "porcupine": "the linearizability search over porcupine's test data, beside Go porcupine",
    "transactions": "cycles of list-append: 100,000 and 1,000,000 transactions, reading included",
    "proxies": "what the proxies between members cost",
    "simulation": "simulated seconds a second, idle and under faults; two workers against one",
    "raft_core": "the pure Raft, without disk, network or encoding",
}


def run(name: str) -> list[Figure]:
    """Measured now; nothing else of this process runs meanwhile."""
    module = importlib.import_module(f"tests.benchmarks.{name}")
    return cast("Callable[[], list[Figure]]", module.run)()
