"""Splitbrain for a project of one's own: the few names that it needs.

    import splitbrain

    class Transfers:                      # a workload of one's own
        name = "transfers"
        ...

    result = splitbrain.run_sync(splitbrain.read_options({"workload": "my.module:Transfers"}))
    assert result.valid

What is not named here is internal, and may change. `schedules` and `check_schedule`
need hypothesis, of the extra `pytest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkers.evidence import Checker, Evidence
from checkers.verdict import Anomaly, Verdict
from harness.errors import BadArguments, SplitbrainError, SystemFailed
from harness.judge import RunResult, judge
from harness.options import Options, read_options
from harness.runner import run, run_sync
from harness.schedule import Schedule
from harness.schedule_text import parse_schedule
from harness.scheduled import run_schedule
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
from nemesis.fault import AtStep, Fault, Kill, Latency, Partition, Pause, PlannedFault

if TYPE_CHECKING:
    from harness.strategies import check_schedule, schedules

__all__ = [
    "FINAL_READ",
    "Address",
    "Anomaly",
    "AtStep",
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
    "Schedule",
    "SplitbrainError",
    "System",
    "SystemFailed",
    "Txn",
    "UniqueValues",
    "Verdict",
    "Workload",
    "check_schedule",
    "judge",
    "parse_schedule",
    "read_options",
    "run",
    "run_schedule",
    "run_sync",
    "schedules",
]

NEED_HYPOTHESIS = ("check_schedule", "schedules")


def __getattr__(name: str) -> Any:
    """Those that need hypothesis are imported when they are asked for."""
    if name not in NEED_HYPOTHESIS:
        raise AttributeError(f"splitbrain has no {name!r}; it has {', '.join(__all__)}")
    import harness.strategies

    return getattr(harness.strategies, name)
