"""A file of lines that grows through memory, so that an appended line needs no system call.

The end of the file is mapped into memory that the operating system shares with the file. A line is
therefore in the file as soon as it is copied, even if this process is killed right afterwards.
While the file is open, it ends with spaces, which readers of JSON Lines ignore. The newline of a
line is copied last. If a kill cuts a line short, the line therefore has no newline.

The spaces are first written to the file, and only then mapped. If the disk is full, the write
reports this, while a change of the mapped memory could not.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

WINDOW_BYTES = 256 * 1024
"""The file grows by this many bytes at a time, or more for a longer line."""
_LINE_END = 0x0A


class MappedFile:
    """Appends lines to the file `path`. It must not be shared by threads.

    Raises OSError if the file cannot be written or mapped, and for an append after `close`.
    """

    __slots__ = ("_begin", "_file", "_memory", "_size", "_used")

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._begin = os.fstat(self._file).st_size
        """The place in the file where the window begins."""
        self._used = 0
        """The number of bytes of the window that contain lines."""
        self._size = 0
        self._memory: mmap.mmap | None = None
        try:
            self._open_window(0)
        except BaseException:
            os.ftruncate(self._file, self._begin)
            os.close(self._file)
            raise

    def append(self, line: bytes) -> None:
        """Append `line` and a line end. `line` must not contain a line end."""
        end = self._used + len(line)
        if end >= self._size:
            self._open_window(len(line))
            end = self._used + len(line)
        memory = self._memory
        assert memory is not None
        memory[self._used : end] = line
        memory[end] = _LINE_END
        self._used = end + 1

    def close(self) -> None:
        """Remove the spaces at the end, and close the file. May be called twice."""
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()
            file, self._file, self._size = self._file, -1, 0
            os.ftruncate(file, self._begin + self._used)
            os.close(file)

    def _open_window(self, line_bytes: int) -> None:
        """Map a new window that begins where the lines end, with space for a line."""
        lines_end = self._begin + self._used
        begin = lines_end - lines_end % mmap.ALLOCATIONGRANULARITY
        size = mmap.ALLOCATIONGRANULARITY + max(WINDOW_BYTES, line_bytes + 1)
        file_end = max(self._begin + self._size, lines_end)
        self._write_spaces(file_end, begin + size)
        memory = mmap.mmap(self._file, size, offset=begin)
        if self._memory is not None:
            self._memory.close()
        self._memory, self._size = memory, size
        self._begin, self._used = begin, lines_end - begin

    def _write_spaces(self, begin: int, end: int) -> None:
        while begin < end:
            begin += os.pwrite(self._file, b" " * (end - begin), begin)
