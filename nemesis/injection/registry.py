"""`inject` with the injectors of all faults. Each module registers its injectors on import."""

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
