"""Declares everything that is not deterministic for a member: clock, disk, network, randomness.

Everything that a member does outside its own memory goes through a `World`. The real world is
`splitbrain.node.real.world`. The simulated world is part of the harness. Modules of `node/` outside
`real/` do not import `time`, `os`, `socket` or `threading`. They do not iterate over sets if the
order matters.

Both worlds run an asyncio loop, so asyncio's tasks, futures and events may be used. The clock of
the loop (`loop.time`, `asyncio.sleep`, `asyncio.timeout`, `wait_for`) must not be used, because a
member's clock can drift and jump relative to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Protocol

from splitbrain.node.backend import Backend


class Timer(Protocol):
    """A callback that `Clock.call_later` has scheduled."""

    def cancel(self) -> None:
        """Drop the callback. If it has run already, this has no effect."""
        ...


class Clock(Protocol):
    """A member's own clock, which can drift and jump.

    `trace_ns` reads a clock that all members of a run share. It is only for trace events. No
    decision may depend on it.
    """

    def monotonic_ns(self) -> int:
        """Return the time in ns since an arbitrary moment. It never goes back."""
        ...

    def wall_ns(self) -> int:
        """Return the wall-clock time in ns since 1970. It can jump."""
        ...

    def trace_ns(self) -> int:
        """Return the time of the shared clock, in ns."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, measured by this clock."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` after `seconds` by this clock, unless the returned timer is cancelled."""
        ...


class DiskError(Exception):
    """The disk failed or is full. The member must stop, so that it does not lose data."""


class DirectoryInUse(Exception):
    """Another process uses the data directory."""


class File(Protocol):
    """A file that is opened for writing.

    Written data is in the page cache, so it survives the end of the process. It survives a power
    loss only after `sync` has returned.
    """

    unsynced_bytes: int
    """The number of written bytes that are not known to be durable."""

    def write(self, offset: int, data: bytes) -> None:
        """Write `data` at `offset`. Raises DiskError."""
        ...

    def truncate(self, size: int) -> None:
        """Change the size of the file to `size` bytes. Raises DiskError."""
        ...

    async def sync(self) -> None:
        """Make all written data durable (fdatasync).

        Raises DiskError. The content of the file's tail is then unknown.
        """
        ...

    def close(self) -> None:
        """Close the file without a sync."""
        ...


class Disk(Protocol):
    """One member's disk. Paths are relative to the member's data directory, with "/".

    Methods raise DiskError if the disk fails or a file is missing, unless they say otherwise.
    """

    def exists(self, path: str) -> bool:
        """Return whether there is a file or directory at `path`."""
        ...

    def list(self, path: str) -> list[str]:
        """Return the sorted names in a directory, or [] if the directory does not exist."""
        ...

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        ...

    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""
        ...

    def make_directory(self, path: str) -> None:
        """Create a directory and its parents. An existing directory is no error."""
        ...

    def create(self, path: str, *, preallocate_bytes: int = 0) -> File:
        """Create a file, or truncate an existing one. The preallocated bytes are zeros."""
        ...

    def open(self, path: str) -> File:
        """Open an existing file for writing."""
        ...

    async def replace(self, path: str, data: bytes) -> None:
        """Replace the content of a file atomically and durably.

        A temporary file is written, synced and renamed. Then the directory is synced.
        """
        ...

    def rename(self, source: str, target: str) -> None:
        """Rename a file.

        An existing file `target` is replaced. `sync_directory` makes this durable.
        """
        ...

    def remove(self, path: str) -> None:
        """Remove a file, or a directory with its content. A missing file is no error."""
        ...

    async def sync_directory(self, path: str) -> None:
        """Make creations, renames and removals in a directory durable."""
        ...

    def lock(self) -> None:
        """Lock the data directory until the process ends. Raises DirectoryInUse."""
        ...

    def open_backend(self, path: str) -> Backend:
        """Open the backend of the store at `path`. It is an LMDB file in the real world."""
        ...


class PeerLink(Protocol):
    """A link to one peer.

    It connects in the background, and reconnects when the connection breaks.
    """

    def send(self, frame: bytes) -> bool:
        """Put a frame into the queue of frames to send.

        Returns False if the frame was dropped because there is no connection or the queue is full.
        A result of True does not mean that the frame arrives. A frame arrives completely or not at
        all, and frames arrive in order.
        """
        ...

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        ...

    @property
    def queued_bytes(self) -> int:
        """An upper bound of the number of bytes that were sent and are still in this process."""
        ...

    def finish(self) -> None:
        """Close the link as soon as the queue is empty."""
        ...

    def close(self) -> None:
        """Close the link at once. Queued frames may be lost.

        The method may be called after `finish`, and more than once.
        """
        ...


class Closable(Protocol):
    """A service that can be closed, such as a listening socket."""

    async def close(self) -> None:
        """Stop the service, and wait until it has ended."""
        ...


class Network(Protocol):
    """Connects members with each other."""

    async def listen_peers(
        self, url: str, accept: Callable[[bytes], Callable[[bytes], None]]
    ) -> Closable:
        """Accept the connections of peers at `url`. Raises AddressInUse.

        `accept(hello)` is called with the first frame of each connection. It returns a function
        that is called with each later frame, or raises ConnectionRefusedError to close the
        connection.
        """
        ...

    def dial_peer(self, url: str, hello: bytes, *, queue_bytes_max: int) -> PeerLink:
        """Return a link to the peer at `url`.

        The link connects again, with a backoff, until it is closed.
        """
        ...


class AddressInUse(Exception):
    """Another socket already listens at the address."""


class World(Protocol):
    """Everything that a member uses outside its own memory."""

    @property
    def clock(self) -> Clock: ...

    @property
    def disk(self) -> Disk: ...

    @property
    def network(self) -> Network: ...

    @property
    def random(self) -> Random: ...

    def trace(self, line: bytes) -> None:
        """Append one line to the member's trace.

        It is in the page cache when this method returns.
        """
        ...

    def spawn(self, work: Awaitable[None], name: str) -> None:
        """Run `work` as a task of the member. If it raises an error, the member stops."""
        ...

    def log(self, level: str, message: str, **fields: object) -> None:
        """Write one line to the member's log (stderr in the real world)."""
        ...

    def stop(self, code: int, why: str) -> None:
        """Stop the member as soon as possible, with this exit code and reason."""
        ...

    def buggify(self, place: str) -> bool:
        """Return whether the caller should behave as if the rare condition `place` occurred.

        Always False in the real world. `place` names the condition in words, for example "the inbox
        is full". Correct code must be able to handle the condition. Source: FoundationDB's BUGGIFY.
        """
        ...

    def crash(self) -> None:
        """End the member immediately, as if killed, without a flush or a log line."""
        ...

    def stand_still(self, place: str) -> None:
        """Pause the member's process, as by SIGSTOP, until the process is continued.

        `place` is the name of the failpoint, for the log. A simulated process pauses at its next
        await.
        """
        ...
