"""The variants of disk faults that lose nothing: slow disks, full disks and errors.

`storage_drawing.py` draws the faults that lose or change durable data.
"""

from __future__ import annotations

from splitbrain.nemesis.disk_fault import DiskFault
from splitbrain.nemesis.fault_target import Target
from splitbrain.nemesis.fault_variants import Variant, weighted_targets


def disk_faults(member_count: int) -> list[Variant]:
    """Return the variants of disk faults that a correct store survives on any number of members."""

    def draw(target: Target) -> Variant:
        return lambda random: random.choice((
            DiskFault(target, slow_ms=random.choice((5, 50, 300))),
            DiskFault(target, slow_ms=random.choice((5, 50, 300))),
            DiskFault(target, full=True),
            DiskFault(target, write_error_percent=random.choice((1.0, 20.0, 100.0))),
            DiskFault(target, sync_error_percent=random.choice((1.0, 20.0, 100.0))),
        ))

    return [draw(target) for target in weighted_targets(member_count)]
