"""Frees the disk space of zeros at the end of files, without changing their content.

Write-ahead logs are preallocated: a segment of etcd takes 64 MiB, most of it zeros.
"""

from __future__ import annotations

import os
from pathlib import Path

LEAST_BYTES = 1 << 20
"""Smaller files are left alone."""
CHUNK_BYTES = 1 << 20


def free_zero_tails(folder: Path) -> int:
    """Turn the zeros at the end of each file below `folder` into a hole. Returns the number of
    bytes freed. No process may write to the files meanwhile."""
    freed = 0
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            before = path.stat().st_blocks
            _free_zero_tail(path)
            freed += (before - path.stat().st_blocks) * 512
    return freed


def _free_zero_tail(path: Path) -> None:
    status = path.stat()
    size = status.st_size
    if min(size, status.st_blocks * 512) < LEAST_BYTES:
        return
    end = _end_of_content(path, size)
    if size - end < LEAST_BYTES:
        return
    # Cutting the zeros off frees their blocks; extending the file again makes a hole, which
    # reads as zeros.
    os.truncate(path, end)
    os.truncate(path, size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _end_of_content(path: Path, size: int) -> int:
    """The offset after the last byte that is not zero."""
    with path.open("rb") as file:
        end = size
        while end > 0:
            begin = max(end - CHUNK_BYTES, 0)
            file.seek(begin)
            content = file.read(end - begin).rstrip(b"\0")
            if content:
                return begin + len(content)
            end = begin
    return 0
