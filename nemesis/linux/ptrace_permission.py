"""Finds out whether this user may trace and change other processes."""

from __future__ import annotations

import os
from pathlib import Path

_PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
"""A file that exists if the kernel restricts which processes may be traced. It contains a number.
1: descendants, and processes that allow it, as members do. 2: no process without CAP_SYS_PTRACE. 3:
no process."""


def tracing_refused() -> str:
    """Return why this user may not trace its own processes, and what to do; "" if it may."""
    scope = _PTRACE_SCOPE.read_text().strip() if _PTRACE_SCOPE.exists() else "0"
    if scope == "3" or (scope == "2" and os.geteuid() != 0):
        return f"{_PTRACE_SCOPE} is {scope}; set it to 0 or 1, or run as root if it is 2"
    return ""
