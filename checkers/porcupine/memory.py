"""Measures the memory that this process uses, and the memory that it can still get.

The numbers come from Linux's /proc and control groups. On other systems they are unknown, and a
search relies on its own estimates.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_GROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def resident_bytes() -> int:
    """Return the resident memory of this process. 0 if the number is unknown."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def free_bytes() -> int:
    """Return the number of bytes that this process can still get.

    The number is the free memory of the machine or of the control group, whichever is less.
    Returns `sys.maxsize` if the number is unknown.
    """
    free = sys.maxsize
    try:
        for line in Path("/proc/meminfo").read_bytes().splitlines():
            if line.startswith(b"MemAvailable:"):
                free = int(line.split()[1]) * 1024
    except OSError:
        pass
    for limit, used in _GROUPS:
        try:
            left = int(limit.read_bytes()) - int(used.read_bytes())
        except (OSError, ValueError):
            continue  # no such group, or "max"
        free = min(free, max(left, 0))
    return free
