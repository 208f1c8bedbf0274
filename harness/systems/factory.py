"""Creates the system that a run tests, from the name in its options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from splitbrain.harness.errors import BadArguments, SystemFailed
from splitbrain.harness.mutants.catalogue import mutant_command, mutant_flags
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.catalogue import ETCD, PYTHON_NODE, SIMULATED, load_system
from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.member_settings.setting_flags import setting_flags
from splitbrain.harness.systems.member_settings.watch_progress import interval_ms
from splitbrain.harness.systems.networks.network import NAMESPACES
from splitbrain.harness.systems.optional_methods import completed
from splitbrain.harness.systems.system import System
from splitbrain.histories.random_stream import subseed
from splitbrain.nemesis.disk_fault import BitRot, DiskFault, LostSectors
from splitbrain.nemesis.fault import AtStep, BlockedLog, LinkFault, PowerLoss
from splitbrain.nemesis.fault_kinds import KINDS
from splitbrain.nemesis.step_drawing import STEPS_DRAWN


def capabilities_of(options: Options) -> frozenset[str]:
    """Return the kinds of faults that can be injected into the system.

    They are derived from the methods of the system's class. If a function creates the system, its
    class is not known, and all kinds are returned. A fault that such a system does not support
    fails when it begins.
    """
    if options.system == SIMULATED:
        return frozenset(name for name, kind in KINDS.items() if not kind.processes_only)
    kind = system_class(options)
    if kind is None:
        return frozenset(KINDS)
    supported = frozenset(name for name in KINDS if issubclass(kind, KINDS[name].needs))
    return supported - frozenset(getattr(kind, "unsupported_faults", ()))


def system_class(options: Options) -> type | None:
    """Return the class of a system of real processes, or None if a function creates the system.

    Also returns None for the simulated system. Raises BadArguments if there is no such system.
    """
    if options.system == SIMULATED:
        return None
    make = _built_in_class(options.system) or load_system(options.system)
    if not callable(make):
        raise BadArguments(
            f"the system {options.system} is {make!r:.100}; expected a class, or a function that "
            "makes a system"
        )
    return _with_links(make, options) if isinstance(make, type) else None


def _with_links(kind: type, options: Options) -> type:
    """Return the class `kind` or, with network namespaces, a subclass that has faults of links.

    With network namespaces, the links of any class of local processes can be cut.
    """
    from splitbrain.harness.systems.clusters.local_processes import LinkedProcesses, LocalProcesses

    if options.network != NAMESPACES or not issubclass(kind, LocalProcesses):
        return kind
    if issubclass(kind, LinkedProcesses) or hasattr(kind, "set_link"):
        return kind
    return type(kind.__name__, (kind, LinkedProcesses), {})


def failpoint_steps(options: Options) -> tuple[str, ...]:
    """Return the steps of the write path at which faults can be drawn for the system.

    A class whose members have failpoints at only some of the steps names these steps in the
    attribute `failpoint_steps`.
    """
    if options.system == SIMULATED:
        return STEPS_DRAWN
    make = _built_in_class(options.system) or load_system(options.system)
    return tuple(getattr(make, "failpoint_steps", STEPS_DRAWN))


def _built_in_class(name: str) -> type | None:
    if name == PYTHON_NODE:
        from splitbrain.harness.systems.etcd_like.python_node import PythonNode

        return PythonNode
    if name == ETCD:
        from splitbrain.harness.systems.etcd_like.etcd import Etcd

        return Etcd
    return None


def check_program(options: Options) -> None:
    """Check, before a run of etcd begins, that the etcd binary exists.

    Raises BadArguments if there is no such program, or if it is not etcd.
    """
    if options.system != ETCD:
        return
    from splitbrain.harness.systems.etcd_like.etcd import find_binary, version_of

    try:
        first = version_of(find_binary(options.etcd_binary))
        other = version_of(find_binary(options.other_binary)) if options.other_binary else first
    except SystemFailed as problem:
        raise BadArguments(str(problem)) from problem
    if _minor(first) != _minor(other):
        raise BadArguments(
            f"--other-binary {options.other_binary} is etcd {other}, and the first binary is etcd "
            f"{first}; expected two releases with the same minor version, because etcd cannot be "
            "downgraded to an earlier one"
        )


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def tested_version(options: Options) -> Mapping[str, str]:
    """Return the version of each tested program, by the name of the program, before the run.

    The names are "etcd" and, for the second binary of etcd, OTHER_ETCD. The versions are known for
    etcd, and for a user's class that is derived from `Etcd`. For other systems, the mapping is
    empty. Raises BadArguments if a program does not exist, or is not etcd.
    """
    if options.system == SIMULATED:
        return {}
    from splitbrain.harness.systems.etcd_like.etcd import OTHER_ETCD, Etcd, find_binary, version_of

    kind = _built_in_class(options.system) or load_system(options.system)
    if not (isinstance(kind, type) and issubclass(kind, Etcd)):
        return {}
    try:
        versions = {"etcd": version_of(find_binary(options.etcd_binary))}
        if options.other_binary:
            versions[OTHER_ETCD] = version_of(find_binary(options.other_binary))
    except SystemFailed as problem:
        raise BadArguments(str(problem)) from problem
    return versions


def make_system(schedule: Schedule, folder: Path) -> System:
    """Create the system of `schedule`, with its members' files in `folder`, without starting it.

    The class or function of a user's system is called with the keywords `members`, `member_seeds`,
    `folder` and `options`. Raises BadArguments if the system does not exist.
    """
    if schedule.system == PYTHON_NODE:
        return _python_node(schedule, folder)
    if schedule.system == ETCD:
        return _etcd(schedule, folder)
    make = system_class(schedule.options) or load_system(schedule.system)
    system = make(
        members=schedule.members, member_seeds=schedule.member_seeds, folder=folder,
        options=schedule.options,
    )
    return cast("System", completed(system) if schedule.options.client else system)


def _python_node(schedule: Schedule, folder: Path) -> System:
    from splitbrain.harness.systems.etcd_like.python_node import COMMAND, PythonNode

    options = schedule.options
    flags, command = options.member_flags, COMMAND
    if options.mutant:
        command = mutant_command(options.mutant)
        flags = (*mutant_flags(options.mutant), *flags)
    return PythonNode(
        _settings(schedule, folder, flags), command, tracing=options.trace,
        admin=any(isinstance(one.fault, AtStep) for one in schedule.faults),
    )


def _etcd(schedule: Schedule, folder: Path) -> System:
    from splitbrain.harness.systems.etcd_like.etcd import Etcd

    options = schedule.options
    settings = _settings(schedule, folder, options.member_flags)
    return Etcd(settings, options.etcd_binary, options.other_binary)


def _settings(schedule: Schedule, folder: Path, flags: tuple[str, ...]) -> ClusterSettings:
    return ClusterSettings(
        members=schedule.members,
        folder=folder,
        seed=subseed(schedule.seed, "links"),
        member_seeds=schedule.member_seeds,
        heartbeat_ms=schedule.options.heartbeat_ms,
        election_ms=schedule.options.election_ms,
        network=schedule.options.network,
        proxied=needs_proxies(schedule),
        mounted_disks=needs_disks(schedule),
        piped_logs=any(isinstance(one.fault, BlockedLog) for one in schedule.faults),
        tls=schedule.options.tls,
        watch_progress_ms=interval_ms(schedule.settings) if schedule.watchers else 0,
        extra_args=(*setting_flags(schedule), *flags),
    )


def needs_proxies(schedule: Schedule) -> bool:
    """Return whether a fault of the schedule needs proxies between the members.

    Proxies are started only if they are needed, because they run on the same machine as the members
    and reduce etcd's throughput by an eighth.
    """
    return any(
        isinstance(one.fault, LinkFault)
        or (isinstance(one.fault, AtStep) and one.fault.do == "isolate")
        for one in schedule.faults
    )


def needs_disks(schedule: Schedule) -> bool:
    """Return whether a fault of the schedule needs mounted disks (`disks/`).

    A fault that cuts the power at a step of the write path needs no mounted disks. Without them, it
    kills the process instead.
    """
    return any(
        isinstance(one.fault, PowerLoss | DiskFault | BitRot | LostSectors)
        for one in schedule.faults
    )
