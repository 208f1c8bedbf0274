"""The variants of faults that only real processes have (see `fault_variants.py`)."""

from __future__ import annotations

from random import Random

from splitbrain.nemesis.disk_fault import DiskArea
from splitbrain.nemesis.fault import (
    Authentication,
    BlockedLog,
    CpuStarvation,
    Fault,
    FewFiles,
    LittleMemory,
    NoSpace,
    OperatorAction,
    OperatorDo,
    Restoration,
    SyscallFault,
    Upgrade,
)
from splitbrain.nemesis.fault_target import Target
from splitbrain.nemesis.fault_variants import Variant, always, weighted_targets

_AREAS: tuple[DiskArea, ...] = ("log", "log", "log", "backend")
_DELAYS_MS = (5, 50, 300, 1_500)
_VISITS = (1, 2, 5, 20)


def syscall_faults(member_count: int) -> list[Variant]:
    """Return the variants of `SyscallFault` from which the faults of a run are drawn.

    They affect syncs and writes. A correct store survives each of them.
    """

    def draw(target: Target) -> Variant:
        return lambda random: _syscall_fault(target, random)

    return [draw(target) for target in weighted_targets(member_count)]


def _syscall_fault(target: Target, random: Random) -> Fault:
    area, nth = random.choice(_AREAS), random.choice(_VISITS)
    delay_ms = random.choice(_DELAYS_MS)
    return random.choice((
        SyscallFault(target, "sync", "delay", area, delay_ms=delay_ms),
        SyscallFault(target, "sync", "delay", area, delay_ms=delay_ms),
        SyscallFault(target, "sync", "kill", area, nth=nth),
        SyscallFault(target, "sync", "kill", area, nth=nth),
        SyscallFault(target, "sync", "error", area, nth=nth, times=1, error="EIO"),
        SyscallFault(target, "sync", "error", area, nth=nth, times=1, error="ENOSPC"),
        SyscallFault(target, "write", "error", area, nth=nth, times=1, error="ENOSPC"),
        SyscallFault(target, "write", "delay", area, delay_ms=delay_ms),
    ))


def operator_actions(member_count: int) -> list[Variant]:
    """Return the variants of operators' actions from which the faults of a run are drawn."""
    moves = [OperatorAction("follower", "move_leader")] * 2 if member_count > 1 else []
    one_by_one: list[OperatorAction] = [
        OperatorAction("all", "restart"), OperatorAction("all", "defragment"), *moves,
    ]
    maintenance: tuple[OperatorDo, ...] = ("defragment", "defragment", "snapshot")

    def draw(target: Target) -> Variant:
        return lambda random: OperatorAction(target, random.choice(maintenance))

    return [*map(always, one_by_one), *map(draw, weighted_targets(member_count))]


def cpu_starvations(member_count: int) -> list[Variant]:
    """Return the variants of CPU starvation from which the faults of a run are drawn."""
    def draw(target: Target) -> Variant:
        return lambda random: CpuStarvation(target, random.choice((2, 10, 30)))

    return [draw(target) for target in weighted_targets(member_count)]


def few_files(member_count: int) -> list[Variant]:
    """Return the variants of `FewFiles` from which the faults of a run are drawn."""
    def draw(target: Target) -> Variant:
        return lambda random: FewFiles(target, random.choice((0, 1, 4)))

    return [draw(target) for target in weighted_targets(member_count)]


def little_memory(member_count: int) -> list[Variant]:
    """Return the variants of `LittleMemory` from which the faults of a run are drawn."""
    def draw(target: Target) -> Variant:
        return lambda random: LittleMemory(target, random.choice((0, 1 << 20, 32 << 20)))

    return [draw(target) for target in weighted_targets(member_count)]


def blocked_logs(member_count: int) -> list[Variant]:
    """Return the variants of blocked logs from which the faults of a run are drawn."""
    return [always(BlockedLog(target)) for target in weighted_targets(member_count)]


def upgrades(member_count: int) -> list[Variant]:
    """Return the variants of upgrades from which the faults of a run are drawn.

    Some variants upgrade all members, and others only a part of them, as in the middle of an
    upgrade.
    """
    some: tuple[Target, ...] = ("leader", "minority", "majority") if member_count > 1 else ()
    return [always(Upgrade(target)) for target in ("all", "all", *some)]


def authentications(member_count: int) -> list[Variant]:
    """Return the variants of authentication faults from which the faults of a run are drawn."""
    return [
        always(Authentication(target, number % 2 == 0))
        for number, target in enumerate(weighted_targets(member_count))
    ]


def full_backends(member_count: int) -> list[Variant]:
    """Return the variants of `NoSpace` from which the faults of a run are drawn."""
    targets = weighted_targets(member_count)
    return [
        *(always(NoSpace(target, "quota")) for target in targets),
        *(always(NoSpace("any", "alarm")) for _ in range(len(targets) // 2)),
    ]


def restorations(member_count: int) -> list[Variant]:
    """Return the variants of restorations from which the faults of a run are drawn."""
    del member_count
    return [always(Restoration())]
