"""The areas of a member's disk (WAL, snapshots, backend), to which a fault can be limited."""

from __future__ import annotations

from splitbrain.nemesis.disk_fault import DiskArea
from splitbrain.node.member_storage import BACKEND, INCARNATION, SEAL, SNAPSHOTS, WAL

_AREAS: tuple[tuple[str, DiskArea], ...] = (
    (WAL, "log"), (SEAL, "seal"), (BACKEND, "backend"), (SNAPSHOTS, "snapshots"),
    (INCARNATION, "starts"),
)


def area_of(path: str) -> DiskArea | None:
    """Return the area that contains `path`, or None if the path belongs to no area."""
    for begin, area in _AREAS:
        if path == begin or path.startswith((f"{begin}/", f"{begin}.")):
            return area
    return None


def is_in_area(path: str, area: DiskArea) -> bool:
    """Return whether `area` contains `path`. The area "" is the whole disk."""
    return not area or area_of(path) == area
