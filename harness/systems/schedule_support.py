"""Decides which schedules a system can run, and adapts schedules to another system."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.network_and_disk_conditions import IDEAL_DISK, IDEAL_NETWORK
from splitbrain.harness.schedule.schedule import (
    SIMULATED,
    SIMULATED_SETTINGS,
    Schedule,
    default_settings,
)
from splitbrain.harness.systems.catalogue import ETCD, PYTHON_NODE
from splitbrain.harness.systems.clusters.local_processes import LocalProcesses
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.factory import capabilities_of, failpoint_steps, system_class
from splitbrain.harness.systems.member_settings.setting_flags import setting_flags
from splitbrain.harness.systems.member_settings.simulated_settings import check_simulated_settings
from splitbrain.harness.systems.networks.network import NAMESPACES
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import AtStep, Fault, Kill, PowerLoss, UserFault, reaches_clients
from splitbrain.nemesis.fault_events import name_of
from splitbrain.nemesis.fault_kinds import KINDS, check_machine
from splitbrain.nemesis.linux.namespaces import missing
from splitbrain.nemesis.step_drawing import STEPS_DRAWN
from splitbrain.nemesis.user_fault import make

HOLD_UNSYNCED = "--hold-unsynced"
"""The flag of this project's member that keeps unsynced writes in the member's memory, so that a
SIGKILL loses them as a power loss would."""

SAME_NEEDS = {"rot": "storage", "lost": "storage"}
"""Maps the name of a fault to its kind, if the two differ."""

JUDGED_BY = {"auth": "auth", "space": "limits"}
"""Maps a fault to the workload whose checker judges the state that the fault changes. That workload
and the fault cannot be combined."""


def refuse_unsupported(schedule: Schedule) -> None:
    """Raise BadArguments if the schedule's system, or this machine, cannot run it."""
    _refuse_unsupported_faults(schedule)
    if schedule.system == SIMULATED:
        if schedule.options.client:
            raise BadArguments(
                f"the schedule calls the client {schedule.options.client}, which needs real "
                f"members; the system {SIMULATED} cannot run it"
            )
        check_simulated_settings(schedule)
        return
    simulated_only = [
        name for name, there in (
            ("buggify", schedule.buggify),
            ("network", schedule.network != IDEAL_NETWORK),
            ("disk", schedule.disk != IDEAL_DISK),
            ("deposed longer by", schedule.deposed_longer_by),
        ) if there
    ]
    if simulated_only:
        raise BadArguments(
            f"the schedule has `{simulated_only[0]}`, which only the system {SIMULATED} "
            "supports; shrink the schedule further, or use a fault such as latency instead"
        )
    setting_flags(schedule)


def _refuse_unsupported_faults(schedule: Schedule) -> None:
    supported = capabilities_of(schedule.options)
    kinds: dict[str, None] = {}
    for one in schedule.faults:
        if isinstance(one.fault, UserFault):
            _refuse_user_fault(schedule, one.fault)
            continue
        name = name_of(one.fault)
        kind = SAME_NEEDS.get(name, name)
        if kind not in KINDS:
            continue
        kinds[kind] = None
        if reaches_clients(one.fault) and schedule.options.network != NAMESPACES:
            raise BadArguments(
                f"the schedule cuts links to clients, which needs --network {NAMESPACES}"
            )
        if kind not in supported:
            raise BadArguments(
                f"the system {schedule.system} does not support the fault {name} of the "
                f"schedule; it supports {', '.join(sorted(supported)) or 'none'}. Remove the "
                "fault, or shrink the schedule without it (splitbrain shrink --no-swarm)"
            )
        if isinstance(one.fault, AtStep):
            _refuse_unsupported_step(schedule, one.fault)
        if JUDGED_BY.get(kind) == schedule.options.workload:
            raise BadArguments(
                f"the fault {kind} changes what the workload {schedule.options.workload} judges; "
                "use another workload, or another fault"
            )
        if kind == "upgrade" and schedule.system == ETCD and not schedule.options.other_binary:
            raise BadArguments(
                "the fault upgrade needs the option --other-binary with the path of another release"
            )
    if schedule.system == SIMULATED:
        return
    _refuse_network(schedule)
    try:
        check_machine(kinds)
        if schedule.system == ETCD and "step" in kinds:
            check_machine(("syscall",))  # strace holds etcd at its steps
    except FaultError as problem:
        raise BadArguments(str(problem)) from problem


def _refuse_network(schedule: Schedule) -> None:
    """Raise BadArguments if this machine or the system does not support the schedule's network."""
    if schedule.options.network != NAMESPACES:
        return
    kind = system_class(schedule.options)
    if kind is None or not issubclass(kind, ProcessCluster | LocalProcesses):
        raise BadArguments(
            f"the system {schedule.system} cannot be in network namespaces: its class is derived "
            "neither from ProcessCluster nor from LocalProcesses"
        )
    if (why := missing()):
        raise BadArguments(f"--network {NAMESPACES}: {why}")


def _refuse_user_fault(schedule: Schedule, fault: UserFault) -> None:
    """Raise BadArguments if the fault cannot be created, or the system lacks what it needs."""
    try:
        needs = getattr(make(fault), "needs", object)
    except FaultError as problem:
        raise BadArguments(str(problem)) from problem
    system = system_class(schedule.options)
    if system is not None and not issubclass(system, needs):
        raise BadArguments(
            f"the system {schedule.system} does not support the fault {fault.path}: its class "
            f"lacks the methods of {needs.__name__}"
        )


def _refuse_unsupported_step(schedule: Schedule, fault: AtStep) -> None:
    steps = failpoint_steps(schedule.options)
    if steps == STEPS_DRAWN or fault.failpoint.partition("_")[2] in steps:
        return
    raise BadArguments(
        f"the system {schedule.system} cannot be held at {fault.failpoint}: its steps are "
        f"{', '.join(steps)}. Change the step, or remove the fault"
    )


def adapted(schedule: Schedule, system: str, etcd_binary: str = "") -> Schedule:
    """Return a schedule for `system` that is as similar to `schedule` as possible.

    On `python_node`, a power loss becomes a SIGKILL of a member that runs with `--hold-unsynced`.
    Such a member keeps unsynced writes in its memory, so they are lost with the process. Raises
    BadArguments if the schedule contains something else that the system does not support.
    """
    options = replace(
        schedule.options, system=system, etcd_binary=etcd_binary or schedule.options.etcd_binary
    )
    if system not in (SIMULATED, PYTHON_NODE):
        options = replace(options, mutant="")  # another store has no planted bugs
    if system == SIMULATED:
        options = replace(options, carrier="json")  # simulated requests have no carrier
    if schedule.system == SIMULATED and system != SIMULATED:
        plain = {
            name: value for name, value in schedule.settings.items()
            if SIMULATED_SETTINGS.get(name) != value
        }
        schedule = replace(schedule, settings=plain)
    elif system == SIMULATED:
        schedule = replace(
            schedule, settings={**default_settings(system), **schedule.settings}
        )
    if system == PYTHON_NODE and any(_loses_power(one.fault) for one in schedule.faults):
        if HOLD_UNSYNCED not in options.member_flags:
            options = replace(options, member_flags=(*options.member_flags, HOLD_UNSYNCED))
        schedule = replace(schedule, faults=tuple(
            replace(one, fault=_killed(one.fault)) for one in schedule.faults
        ))
    schedule = replace(schedule, options=options)
    refuse_unsupported(schedule)
    return schedule


def _loses_power(fault: Fault) -> bool:
    return isinstance(fault, PowerLoss) or (isinstance(fault, AtStep) and fault.do == "power")


def _killed(fault: Fault) -> Fault:
    return Kill(fault.target, on=fault.on) if isinstance(fault, PowerLoss) else fault
