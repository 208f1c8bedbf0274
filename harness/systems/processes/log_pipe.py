"""A pipe between a member and its log file. The harness can stop reading from the pipe.

A program that logs into a pipe stops at its next line when the pipe is full. Containers and
supervisors read logs this way, so that a slow reader of logs can stop a store.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from pathlib import Path

BLOCKED_PIPE_BYTES = 4_096
"""The size of a pipe while it is not read: the smallest size in Linux."""
PIPE_BYTES = 65_536
_READ_BYTES_MAX = 1 << 16
_FILLER = b"\0"
"""The byte with which a blocked pipe is filled. It is not copied to the log."""


class LogPipe:
    """A pipe for a member's output, which the running event loop copies to the file `log`.

    All processes of the member use the same pipe. Call `close` at the end.
    """

    def __init__(self, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file = log.open("ab", buffering=0)
        self._read_end, self.write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_end, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_end, self.drain)
        self._blocked = False

    def drain(self) -> None:
        """Copy the present content of the pipe to the log."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._read_end, _READ_BYTES_MAX):
                self._file.write(data.replace(_FILLER, b""))

    def block(self) -> None:
        """Fill the pipe, and stop reading from it, so that the member blocks at its next line."""
        if not self._blocked:
            self._blocked = True
            self._loop.remove_reader(self._read_end)
            self.drain()
            self._resize(BLOCKED_PIPE_BYTES)
            self._fill()

    def unblock(self) -> None:
        """Continue to read from the pipe. Has no effect if it is not blocked."""
        if self._blocked:
            self._blocked = False
            self._resize(PIPE_BYTES)
            self._loop.add_reader(self._read_end, self.drain)

    def close(self) -> None:
        self._loop.remove_reader(self._read_end)
        self.drain()
        os.close(self._read_end)
        os.close(self.write_end)
        self._file.close()

    def _fill(self) -> None:
        # The member shares `write_end`. So this end must not become non-blocking for the member.
        end = os.open(f"/proc/self/fd/{self.write_end}", os.O_WRONLY | os.O_NONBLOCK)
        try:
            while True:
                os.write(end, _FILLER * BLOCKED_PIPE_BYTES)
        except BlockingIOError:
            return
        finally:
            os.close(end)

    def _resize(self, size_bytes: int) -> None:
        with contextlib.suppress(OSError):  # more bytes wait, or the user's pipes are all in use
            fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, size_bytes)
