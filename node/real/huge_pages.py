"""Asks the kernel to keep the memory of this process in huge pages.

The code and the objects of a Python process are spread over thousands of pages of 4 KiB. After each
context switch, the processor has to look up these pages again. In a member that handles few
requests, this takes most of the CPU time. A huge page of 2 MiB is looked up once. On a virtual
machine, each lookup is especially slow.

Source: madvise(2), MADV_COLLAPSE.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

HUGE_BYTES = 2 * 1024 * 1024
_MADV_HUGEPAGE = 14
_MADV_COLLAPSE = 25
_REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (rw-p|r-xp) \S+ \S+ (\d+)(?: +(.*))?$", re.MULTILINE)


def use_huge_pages() -> int:
    """Move the memory that this process uses now into huge pages, as far as the kernel does this.

    Returns the number of bytes that are in huge pages afterwards. It takes some milliseconds, and
    may be called in any thread. Older kernels move the memory later, or not at all.
    """
    advise = ctypes.CDLL(None, use_errno=True).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    moved = 0
    for begin, end in regions(Path("/proc/self/maps").read_text()):
        advise(begin, end - begin, _MADV_HUGEPAGE)
        for at in range(begin, end, HUGE_BYTES):
            moved += HUGE_BYTES * (advise(at, HUGE_BYTES, _MADV_COLLAPSE) == 0)
    return moved


def regions(maps: str) -> Iterator[tuple[int, int]]:
    """Yield the begin and the end of each region of memory that is to be in huge pages.

    These are the regions with code, and the regions with data that is not mapped from a file. They
    are rounded to whole huge pages.
    """
    for begin, end, access, inode, name in _REGION.findall(maps):
        anonymous = inode == "0" and (not name or name == "[heap]")
        if access == "r-xp" or anonymous:
            first = -(-int(begin, 16) // HUGE_BYTES) * HUGE_BYTES
            last = int(end, 16) // HUGE_BYTES * HUGE_BYTES
            if first < last:
                yield first, last
