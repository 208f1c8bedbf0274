"""How much memory this process holds, and how much it may still have.

As Linux tells it in /proc and in control groups; elsewhere nothing is known, and
searches are bounded by their own estimates.
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
    """Of this process; 0 where it is not told."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def free_bytes() -> int:
    """What the machine, and the control group if there is one, can still give; as good as
    endless where it is not told."""
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
