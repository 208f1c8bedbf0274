"""Exports `inject` after the import of all modules that register their injectors with it."""

from __future__ import annotations

from splitbrain.nemesis.injection import (
    auth_and_quota,
    clocks,
    disk_crash,
    leadership,
    links,
    membership,
    operator_actions,
    power_and_disks,
    resources,
    syscalls,
    users,
)
from splitbrain.nemesis.injection.inject import inject

__all__ = [
    "auth_and_quota", "clocks", "disk_crash", "inject", "leadership", "links", "membership",
    "operator_actions", "power_and_disks", "resources", "syscalls", "users",
]
