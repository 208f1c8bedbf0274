"""A schedule against real processes: what of it they can be told, and suffer."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.drawing.swarm import SETTINGS
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import DEFAULTS, Options
from splitbrain.harness.schedule.plan import Plan
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.simulation.network import Weather
from splitbrain.nemesis.fault import AtStep, Fault, Kill, Latency, Partition, Pause, PowerLoss
from splitbrain.nemesis.nemesis import name_of

FLAGS = {
    "snapshot_count": "--snapshot-count",
    "catch_up_entries": "--snapshot-catchup-entries",
    "snapshots_kept": "--max-snapshots",
    "wal_segment_bytes": "--wal-segment-bytes",
    "backend_batch_interval_ms": "--backend-batch-interval",
    "backend_batch_operations_max": "--backend-batch-limit",
}
"""A member's settings as flags of `python -m splitbrain.node`."""
HOLD_UNSYNCED = "--hold-unsynced"
SUFFERED = (Kill, Pause, Partition, Latency, PowerLoss, AtStep)


def for_processes(schedule: Schedule, store: str = DEFAULTS.store) -> tuple[Options, Plan]:
    """The run of `python_node` that comes nearest to `schedule`.

    A power loss is the kill of a process that holds back what it has not synced. Raises
    BadArguments for what only a simulated machine suffers, or does.
    """
    _refuse_simulated(schedule)
    flags = [*schedule.options.member_flags]
    for name, value in schedule.surroundings.settings.items():
        if SETTINGS.get(name) != value:
            flags += _flag(name, value)
    if any(_loses_power(one.fault) for one in schedule.plan.faults) and HOLD_UNSYNCED not in flags:
        flags.append(HOLD_UNSYNCED)
    options = replace(
        schedule.options, system="python_node", member_flags=tuple(flags), store=store
    )
    faults = tuple(replace(one, fault=_suffered(one.fault)) for one in schedule.plan.faults)
    return options, replace(schedule.plan, faults=faults)


def _refuse_simulated(schedule: Schedule) -> None:
    for one in schedule.plan.faults:
        if not isinstance(one.fault, SUFFERED):
            raise BadArguments(
                f"processes cannot suffer the fault {name_of(one.fault)}: only simulated machines "
                "can; shrink the schedule without it (--no-swarm), or take it out"
            )
    around = schedule.surroundings
    if around.buggify:
        raise BadArguments("the schedule has `buggify`, which is for simulated members only")
    if around.weather != Weather():
        raise BadArguments(
            "the schedule has `weather`, which only a simulated network has; shrink it "
            "further, or give it a fault such as latency in place of that"
        )


def _flag(name: str, value: int | bool) -> list[str]:
    if name == "pre_vote":
        return [] if value else ["--no-pre-vote"]
    if name not in FLAGS:
        raise BadArguments(f"the setting {name} is no flag of a member: shrink it away first")
    return [FLAGS[name], str(value)]


def _loses_power(fault: Fault) -> bool:
    return isinstance(fault, PowerLoss) or (isinstance(fault, AtStep) and fault.do == "power")


def _suffered(fault: Fault) -> Fault:
    return Kill(fault.target, on=fault.on) if isinstance(fault, PowerLoss) else fault
