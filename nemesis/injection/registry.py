"""Exports `inject` after the import of all modules that register their injectors with it."""

from __future__ import annotations

from splitbrain.nemesis.injection import (
    administration,
    clocks,
    leadership,
    links,
    machine,
    membership,
    operations,
    resources,
    syscalls,
    users,
)
from splitbrain.nemesis.injection.inject import inject

__all__ = [
    "administration", "clocks", "inject", "leadership", "links", "machine", "membership",
    "operations", "resources", "syscalls", "users",
]
