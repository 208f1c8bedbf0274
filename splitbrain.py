"""Splitbrain for a project of one's own: the few names that it needs.

    import splitbrain

    class Transfers:                      # a workload of one's own
        name = "transfers"
        ...

    result = splitbrain.run_sync(splitbrain.read_options({"workload": "my.module:Transfers"}))
    assert result.valid

What is not named here is internal, and may change.
"""

from __future__ import annotations

from checkers.evidence import Checker, Evidence
from checkers.verdict import Anomaly, Verdict
from harness.errors import BadArguments, SplitbrainError, SystemFailed
from harness.judge import RunResult, judge
from harness.options import Options, read_options
from harness.runner import run, run_sync
from harness.systems.cluster import Place, ProcessCluster
from harness.systems.settings import ClusterSettings
from harness.systems.system import (
    Address,
    Killable,
    LinkState,
    Partitionable,
    Pausable,
    System,
)
from harness.workloads.workload import FINAL_READ, Draft, UniqueValues, Workload
from histories.event import Event
from histories.history import History, Operation
from histories.kv import (
    Compact,
    Compare,
    Delete,
    KeyValue,
    Put,
    Range,
    Request,
    Result,
    Txn,
)
from histories.member_state import Change, MemberState
from nemesis.fault import Fault, Kill, Latency, Partition, Pause, PlannedFault

__all__ = [
    "FINAL_READ",
    "Address",
    "Anomaly",
    "BadArguments",
    "Change",
    "Checker",
    "ClusterSettings",
    "Compact",
    "Compare",
    "Delete",
    "Draft",
    "Event",
    "Evidence",
    "Fault",
    "History",
    "KeyValue",
    "Kill",
    "Killable",
    "Latency",
    "LinkState",
    "MemberState",
    "Operation",
    "Options",
    "Partition",
    "Partitionable",
    "Pausable",
    "Pause",
    "Place",
    "PlannedFault",
    "ProcessCluster",
    "Put",
    "Range",
    "Request",
    "Result",
    "RunResult",
    "SplitbrainError",
    "System",
    "SystemFailed",
    "Txn",
    "UniqueValues",
    "Verdict",
    "Workload",
    "judge",
    "read_options",
    "run",
    "run_sync",
]
