"""The variants of crashes at an exact operation of a disk.

Most errors of recovery show only if the member stops between two particular operations, for example
between the rename of a new segment and its sync. Therefore each kind of operation on each area of
the disk is a separate variant, even if the operation is rare.

Source: Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014 (ALICE), which tries all
crash points between the system calls of an application.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from random import Random

from splitbrain.nemesis.disk_fault import DiskArea, DiskCall, DiskCrash
from splitbrain.nemesis.fault_target import Target
from splitbrain.nemesis.fault_variants import Variant
from splitbrain.nemesis.target import targets_for

RARE_PLACES: tuple[tuple[DiskArea, DiskCall], ...] = (
    ("log", "create"), ("log", "rename"), ("log", "rename"), ("log", "sync_directory"),
    ("log", "remove"), ("log", "remove"),
    ("snapshots", ""), ("snapshots", "rename"), ("snapshots", "remove"), ("snapshots", "remove"),
    ("snapshots", "sync_directory"),
)
"""Operations that happen only when a segment of the log is full or a snapshot is taken. The fault
is armed on all members, and hits the first that reaches the operation."""
FREQUENT_PLACES: tuple[tuple[DiskArea, DiskCall], ...] = (
    ("log", "write"), ("log", "sync"), ("backend", "commit"), ("", "sync"), ("", ""), ("", ""),
    ("seal", ""),
)
RARE_VISITS = (1, 1, 1, 2, 3)
FREQUENT_VISITS = (1, 2, 3, 5, 8, 20)
RESTART_OPERATIONS_MAX = 14
"""A restart makes about 10 operations until the member serves, and more if it repairs its log."""
AGAIN_COUNTS = (0, 0, 0, 1, 1, 2)
"""How often the restart after the crash is interrupted."""


def disk_crashes(member_count: int) -> list[Variant]:
    """Return the variants of crashes: first at rare disk operations, then at frequent ones."""
    targets: tuple[Target, ...] = tuple(
        one for one in ("leader", "any", "follower") if one in targets_for(member_count)
    ) or ("all",)
    rare = [_variant("all", area, call, RARE_VISITS) for area, call in RARE_PLACES]
    frequent = [
        _variant(target, area, call, FREQUENT_VISITS)
        for target, (area, call) in zip(cycle(targets), FREQUENT_PLACES, strict=False)
    ]
    return [*rare, *frequent]


def _variant(
    target: Target, area: DiskArea, call: DiskCall, visits: Sequence[int]
) -> Variant:
    def draw(random: Random) -> DiskCrash:
        return DiskCrash(
            target,
            call=call,
            area=area,
            edge=random.choice(("before", "after")),
            nth=random.choice(visits),
            do=random.choice(("crash", "power", "power")),
            again=tuple(
                random.randint(1, RESTART_OPERATIONS_MAX)
                for _ in range(random.choice(AGAIN_COUNTS))
            ),
        )

    return draw
