"""The only door to what is not deterministic: clock, disk, network, randomness.

Everything that a member does outside its own memory goes through a `World`. The
real one is `splitbrain.node.real.world`; a simulated one lives outside this package. Nothing
else under `node/` imports `time`, `random`, `os`, `socket` or `threading`, and
nothing iterates a set whose order matters.

asyncio's tasks, futures and events may be used freely: both worlds run an asyncio
loop. Its clock (`loop.time`, `asyncio.sleep`, `asyncio.timeout`, `wait_for`) may
not: a member's clock drifts and jumps apart from the loop's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Protocol

from splitbrain.node.backend import Backend


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """A member's own clock. `trace_ns` is the observer's: one for all members of a
    run, for trace events alone; no decision may rest on it."""

    def monotonic_ns(self) -> int: ...

    def wall_ns(self) -> int: ...

    def trace_ns(self) -> int: ...

    async def sleep(self, seconds: float) -> None: ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer: ...


class DiskError(Exception):
    """The disk failed or is full: the member must stop rather than lose anything."""


class DirectoryInUse(Exception):
    """Another process holds the data directory."""


class File(Protocol):
    """A file opened for writing. What is written is in the page cache (it outlives the
    process, not a power loss) until `sync` returns."""

    unsynced_bytes: int
    """Written, and not known to be durable: the disk's own word, whatever its user believes."""

    def write(self, offset: int, data: bytes) -> None:
        """Raises DiskError."""
        ...

    def truncate(self, size: int) -> None: ...

    async def sync(self) -> None:
        """Make all written so far durable (fdatasync). Raises DiskError; after that
        nothing about the file's tail is known."""
        ...

    def close(self) -> None: ...


class Disk(Protocol):
    """One member's disk. Paths are relative to the member's data directory, with "/"."""

    def exists(self, path: str) -> bool: ...

    def list(self, path: str) -> list[str]:
        """Names in a directory, sorted; empty where there is none."""
        ...

    def read(self, path: str) -> bytes: ...

    def size(self, path: str) -> int: ...

    def make_directory(self, path: str) -> None:
        """Also its parents; no error where it exists."""
        ...

    def create(self, path: str, *, preallocate_bytes: int = 0) -> File:
        """A new file; one that exists is truncated. Preallocated bytes read as zeros."""
        ...

    def open(self, path: str) -> File:
        """An existing file, for writing."""
        ...

    async def replace(self, path: str, data: bytes) -> None:
        """Atomically and durably: written aside, synced, renamed, directory synced."""
        ...

    def rename(self, source: str, target: str) -> None: ...

    def remove(self, path: str) -> None:
        """A file, or a directory with all in it; no error where there is none."""
        ...

    async def sync_directory(self, path: str) -> None:
        """Make creations, renames and removals in a directory durable."""
        ...

    def lock(self) -> None:
        """Hold the data directory until the process ends. Raises DirectoryInUse."""
        ...

    def open_backend(self, path: str) -> Backend:
        """The key-value file that follows the store (LMDB in the real world)."""
        ...


class PeerLink(Protocol):
    """The way to one peer: keeps a connection up as well as it can, in the background."""

    def send(self, frame: bytes) -> bool:
        """Queue a frame; False if it was dropped (no connection, or the queue is full).
        Frames arrive whole, in order, or not at all; True promises nothing."""
        ...

    @property
    def connected(self) -> bool: ...

    @property
    def queued_bytes(self) -> int:
        """Of what was sent, so much may still be in this process."""
        ...

    def finish(self) -> None:
        """Close it once all that was sent is gone."""
        ...

    def close(self) -> None:
        """At once; what was sent may be lost. Safe to call after `finish`, and twice."""
        ...


class Closable(Protocol):
    async def close(self) -> None: ...


class Network(Protocol):
    async def listen_peers(
        self, url: str, accept: Callable[[bytes], Callable[[bytes], None]]
    ) -> Closable:
        """Take peers' connections at `url`. `accept(hello)` is called with the first
        frame of each; it returns the receiver of its later frames, or raises
        ConnectionRefusedError to drop it. Raises AddressInUse."""
        ...

    def dial_peer(self, url: str, hello: bytes, *, queue_bytes_max: int) -> PeerLink:
        """A link to the peer at `url`, redialled with a backoff until closed."""
        ...


class AddressInUse(Exception):
    """Something else listens where the member was told to."""


class World(Protocol):
    @property
    def clock(self) -> Clock: ...

    @property
    def disk(self) -> Disk: ...

    @property
    def network(self) -> Network: ...

    @property
    def random(self) -> Random: ...

    def trace(self, line: bytes) -> None:
        """Write one line to the member's trace; in the page cache when it returns."""
        ...

    def spawn(self, work: Awaitable[None], name: str) -> None:
        """Run `work` as a task of the member; if it raises, the member stops."""
        ...

    def log(self, level: str, message: str, **fields: object) -> None:
        """One line of the member's log (stderr in the real world)."""
        ...

    def stop(self, code: int, why: str) -> None:
        """The member ends: as soon as it can, with this exit code, saying why."""
        ...

    def buggify(self, place: str) -> bool:
        """Whether to make a rare condition likely, here and now: always False in the real
        world. `place` names the condition. What it leads to must be correct behaviour,
        such as a queue that is short. Source: FoundationDB's BUGGIFY."""
        ...

    def crash(self) -> None:
        """The member ends now, as if killed: nothing is flushed, nothing said."""
        ...

    def stand_still(self, place: str) -> None:
        """The member's process stops, as by SIGSTOP, until somebody lets it go on. `place`
        says where, for whoever watches. In simulation it stops at the next await."""
        ...
