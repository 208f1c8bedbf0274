"""The public API of Splitbrain.

This example runs one test with the workload class `Transfers` of the module `my_workload`:

    import splitbrain

    options = splitbrain.read_options({"workload": "my_workload:Transfers"})
    result = splitbrain.run_sync(options)
    assert result.valid

The names in `__all__` and the packages that `docs/reference/api.md` names are public.
Everything else is internal and may change. A name is imported when it is first used, so that
`import splitbrain` is fast and a member process does not load the harness. `schedules` and
`check_schedule` need hypothesis, which the extra `pytest` installs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splitbrain.checkers.budget_limits import Limit
    from splitbrain.checkers.evidence import Checker, Evidence
    from splitbrain.checkers.verdict import Anomaly, Verdict
    from splitbrain.harness.clients.any_store.store_client import (
        Client,
        Definite,
        Invocation,
        StoreClient,
    )
    from splitbrain.harness.clients.completion import Completion
    from splitbrain.harness.drawing.schedule_drawing import draw_schedule
    from splitbrain.harness.errors import BadArguments, SplitbrainError, SystemFailed
    from splitbrain.harness.judging.judge import judge
    from splitbrain.harness.judging.run_result import RunResult
    from splitbrain.harness.runs.execute import execute, execute_async, run, run_sync
    from splitbrain.harness.schedule.options import Options, read_options
    from splitbrain.harness.schedule.schedule import Schedule
    from splitbrain.harness.schedule.text import parse_schedule
    from splitbrain.harness.store.records import FaultCount, Results
    from splitbrain.harness.store.run_folder import RunFolder
    from splitbrain.harness.systems.clusters.local_processes import (
        LocalMember,
        LocalProcesses,
        ProxiedProcesses,
    )
    from splitbrain.harness.systems.clusters.processes_with_disks import DiskedProcesses
    from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
    from splitbrain.harness.systems.etcd_like.member_addresses import Place
    from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
    from splitbrain.harness.systems.hosts.host import Host
    from splitbrain.harness.systems.hosts.remote_processes import (
        RemoteMember,
        RemoteProcesses,
    )
    from splitbrain.harness.systems.system import (
        Address,
        AnySystem,
        Killable,
        LinkState,
        Partitionable,
        Pausable,
        System,
    )
    from splitbrain.harness.testing.cluster import Cluster
    from splitbrain.harness.testing.strategies import check_schedule, schedules
    from splitbrain.harness.workloads.any_store.store_workload import (
        StoreWorkload,
        UniqueNumbers,
        call,
    )
    from splitbrain.harness.workloads.workload import FINAL_READ, Draft, UniqueValues, Workload
    from splitbrain.histories.errors import HistoryError
    from splitbrain.histories.event import Event
    from splitbrain.histories.formats.foreign_operation import ForeignOperation
    from splitbrain.histories.history import FaultWindow, History, Operation
    from splitbrain.histories.kv import (
        Compact,
        CompactResult,
        Compare,
        Delete,
        DeleteResult,
        Header,
        KeyValue,
        Put,
        PutResult,
        Range,
        RangeResult,
        Request,
        Result,
        Txn,
        TxnResult,
    )
    from splitbrain.histories.member_state import Change, MemberState
    from splitbrain.histories.service_operation import ServiceOperation
    from splitbrain.histories.trace import TraceEvent
    from splitbrain.histories.watch import WatchRequest, WatchStream
    from splitbrain.nemesis.capabilities import CountsEffects, FaultyLinks, HasMoments, HasProcess
    from splitbrain.nemesis.disk_fault import BitRot, DiskCrash, DiskFault, LostSectors
    from splitbrain.nemesis.errors import FaultError
    from splitbrain.nemesis.fault import (
        AtStep,
        ClockDrift,
        ClockJump,
        Corruption,
        Fault,
        HalfOpen,
        Kill,
        Latency,
        PacketLoss,
        Partition,
        Pause,
        PowerLoss,
        ScheduledFault,
        SlowReceiver,
    )
    from splitbrain.nemesis.moment import Moment

_MODULES = {
    "splitbrain.checkers.evidence": (
        "Checker", "Evidence",
    ),
    "splitbrain.checkers.budget_limits": (
        "Limit",
    ),
    "splitbrain.checkers.verdict": (
        "Anomaly", "Verdict",
    ),
    "splitbrain.harness.clients.completion": (
        "Completion",
    ),
    "splitbrain.harness.clients.any_store.store_client": (
        "Client", "Definite", "Invocation", "StoreClient",
    ),
    "splitbrain.harness.systems.clusters.processes_with_disks": (
        "DiskedProcesses",
    ),
    "splitbrain.harness.systems.hosts.host": (
        "Host",
    ),
    "splitbrain.harness.systems.hosts.remote_processes": (
        "RemoteMember", "RemoteProcesses",
    ),
    "splitbrain.harness.systems.clusters.local_processes": (
        "LocalMember", "LocalProcesses", "ProxiedProcesses",
    ),
    "splitbrain.harness.workloads.any_store.store_workload": (
        "StoreWorkload", "UniqueNumbers", "call",
    ),
    "splitbrain.histories.formats.foreign_operation": (
        "ForeignOperation",
    ),
    "splitbrain.harness.drawing.schedule_drawing": (
        "draw_schedule",
    ),
    "splitbrain.harness.errors": (
        "BadArguments", "SplitbrainError", "SystemFailed",
    ),
    "splitbrain.harness.judging.judge": (
        "judge",
    ),
    "splitbrain.harness.judging.run_result": (
        "RunResult",
    ),
    "splitbrain.harness.runs.execute": (
        "execute", "execute_async", "run", "run_sync",
    ),
    "splitbrain.harness.schedule.options": (
        "Options", "read_options",
    ),
    "splitbrain.harness.schedule.schedule": (
        "Schedule",
    ),
    "splitbrain.harness.schedule.text": (
        "parse_schedule",
    ),
    "splitbrain.harness.store.records": (
        "FaultCount", "Results",
    ),
    "splitbrain.harness.store.run_folder": (
        "RunFolder",
    ),
    "splitbrain.harness.systems.etcd_like.process_cluster": (
        "ProcessCluster",
    ),
    "splitbrain.harness.systems.etcd_like.member_addresses": (
        "Place",
    ),
    "splitbrain.harness.systems.etcd_like.cluster_settings": (
        "ClusterSettings",
    ),
    "splitbrain.harness.systems.system": (
        "Address", "AnySystem", "Killable", "LinkState", "Partitionable", "Pausable", "System",
    ),
    "splitbrain.harness.testing.cluster": (
        "Cluster",
    ),
    "splitbrain.harness.testing.strategies": (
        "check_schedule", "schedules",
    ),
    "splitbrain.harness.workloads.workload": (
        "Draft", "FINAL_READ", "UniqueValues", "Workload",
    ),
    "splitbrain.histories.errors": (
        "HistoryError",
    ),
    "splitbrain.histories.event": (
        "Event",
    ),
    "splitbrain.histories.history": (
        "FaultWindow", "History", "Operation",
    ),
    "splitbrain.histories.kv": (
        "Compact", "CompactResult", "Compare", "Delete", "DeleteResult", "Header", "KeyValue",
        "Put", "PutResult", "Range", "RangeResult", "Request", "Result", "Txn", "TxnResult",
    ),
    "splitbrain.histories.member_state": (
        "Change", "MemberState",
    ),
    "splitbrain.histories.service_operation": (
        "ServiceOperation",
    ),
    "splitbrain.histories.trace": (
        "TraceEvent",
    ),
    "splitbrain.histories.watch": (
        "WatchRequest", "WatchStream",
    ),
    "splitbrain.nemesis.capabilities": (
        "CountsEffects", "FaultyLinks", "HasMoments", "HasProcess",
    ),
    "splitbrain.nemesis.errors": (
        "FaultError",
    ),
    "splitbrain.nemesis.moment": (
        "Moment",
    ),
    "splitbrain.nemesis.fault": (
        "AtStep", "ClockDrift", "ClockJump", "Corruption", "Fault", "HalfOpen", "Kill", "Latency",
        "PacketLoss", "Partition", "Pause", "ScheduledFault", "PowerLoss", "SlowReceiver",
    ),
    "splitbrain.nemesis.disk_fault": ("BitRot", "DiskCrash", "DiskFault", "LostSectors"),
}
"""Module → the public names that it defines."""

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "FINAL_READ",
    "Address",
    "Anomaly",
    "AnySystem",
    "AtStep",
    "BadArguments",
    "BitRot",
    "Change",
    "Checker",
    "Client",
    "ClockDrift",
    "ClockJump",
    "Cluster",
    "ClusterSettings",
    "Compact",
    "CompactResult",
    "Compare",
    "Completion",
    "Corruption",
    "CountsEffects",
    "Definite",
    "Delete",
    "DeleteResult",
    "DiskCrash",
    "DiskFault",
    "DiskedProcesses",
    "Draft",
    "Event",
    "Evidence",
    "Fault",
    "FaultCount",
    "FaultError",
    "FaultWindow",
    "FaultyLinks",
    "ForeignOperation",
    "HalfOpen",
    "HasMoments",
    "HasProcess",
    "Header",
    "History",
    "HistoryError",
    "Host",
    "Invocation",
    "KeyValue",
    "Kill",
    "Killable",
    "Latency",
    "Limit",
    "LinkState",
    "LocalMember",
    "LocalProcesses",
    "LostSectors",
    "MemberState",
    "Moment",
    "Operation",
    "Options",
    "PacketLoss",
    "Partition",
    "Partitionable",
    "Pausable",
    "Pause",
    "Place",
    "PowerLoss",
    "ProcessCluster",
    "ProxiedProcesses",
    "Put",
    "PutResult",
    "Range",
    "RangeResult",
    "RemoteMember",
    "RemoteProcesses",
    "Request",
    "Result",
    "Results",
    "RunFolder",
    "RunResult",
    "Schedule",
    "ScheduledFault",
    "ServiceOperation",
    "SlowReceiver",
    "SplitbrainError",
    "StoreClient",
    "StoreWorkload",
    "System",
    "SystemFailed",
    "TraceEvent",
    "Txn",
    "TxnResult",
    "UniqueNumbers",
    "UniqueValues",
    "Verdict",
    "WatchRequest",
    "WatchStream",
    "Workload",
    "call",
    "check_schedule",
    "draw_schedule",
    "execute",
    "execute_async",
    "judge",
    "parse_schedule",
    "read_options",
    "run",
    "run_sync",
    "schedules",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"splitbrain has no {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
