"""Frees the disk space of zeros at the end of files, without changing their content.

Write-ahead logs are preallocated: a segment of etcd takes 64 MiB, most of it zeros.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

LEAST_BYTES = 1 << 20
"""Files and sequences of zeros that are shorter than this are not changed."""
CHUNK_BYTES = 1 << 20

_LIBC = ctypes.CDLL(None, use_errno=True)
_FALLOC_FL_KEEP_SIZE = 0x01
_FALLOC_FL_PUNCH_HOLE = 0x02


def free_zero_tails(folder: Path) -> int:
    """Turn the zeros at the end of each file below `folder` into a hole.

    Returns the number of bytes freed. No other process may write to the files at the same time.
    """
    freed = 0
    for path in sorted(folder.rglob("*")):
        # A file stays as it is if its file system has no holes, or if this user may not write it.
        with contextlib.suppress(OSError):
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
    with path.open("r+b") as file:
        _punch_hole(file.fileno(), end, size - end)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _punch_hole(handle: int, offset: int, length: int) -> None:
    """Free the blocks of a part of a file, which then reads as zeros.

    The size of the file stays the same. Raises OSError.
    """
    arguments = (_FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, offset, length)
    done = _LIBC.fallocate(handle, arguments[0], *map(ctypes.c_int64, arguments[1:]))
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _end_of_content(path: Path, size: int) -> int:
    """Return the offset after the last nonzero byte of the file."""
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
