"""What a disk keeps: files with what of them is durable, directories with what of their
entries is. Pure: the clock and the member's view are in `disk`.

A file is a page cache (what any process reads), the content as of its last sync, and
the writes since. At a power loss each sector that was written since holds any one of
its versions since the last sync, each sector on its own: the disk may have written
them back in any order and at any time. A sector itself is never torn. The size is
either the durable one or one that it had since.

A directory's entries as of its last sync are there; of what was done to them since, a
prefix: file systems journal their changes in order. Directories are not ordered among
each other. A file whose entry is lost is lost with all its content.

Source: Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, for what
file systems may do to unsynced writes and directory operations; atomic 512-byte
sectors as SQLite's and etcd's WAL assume them.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

SECTOR_BYTES = 512
ROOT = "."


class Inode:
    """A file. What a failed sync dropped is shown by the cache still, and no later sync
    makes it durable (Linux marks the pages clean: Rebello et al., USENIX ATC 2020)."""

    __slots__ = ("cached", "dropped", "durable", "size", "sizes", "writes")

    def __init__(self) -> None:
        self.size = 0
        self.cached = bytearray()
        """Without the zeros at the end, to which `size` extends it."""
        self.durable: tuple[int, bytearray] = (0, bytearray())
        """Size and content as of the last sync; the content as for `cached`."""
        self.writes: list[tuple[int, bytes]] = []
        self.sizes: list[int] = []
        self.dropped = False
        """Whether a failed sync has dropped something that was not written again since."""

    @property
    def unsynced_bytes(self) -> int:
        """What a power loss now could take: of what was dropped, one stands for all."""
        return sum(len(data) for _, data in self.writes) + self.dropped

    def read(self) -> bytes:
        return bytes(self.cached).ljust(self.size, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        _overwrite(self.cached, offset, data)
        self.writes.append((offset, bytes(data)))
        if offset + len(data) > self.size:
            self.resize(offset + len(data))

    def resize(self, size: int) -> None:
        if size < len(self.cached):
            # What is cut off reads as zeros if the file grows again.
            cut = len(self.cached) - size
            self.writes.append((size, bytes(cut)))
            del self.cached[size:]
        self.size = size
        self.sizes.append(size)

    def mark(self) -> tuple[int, int]:
        """What a sync that begins now covers."""
        return len(self.writes), len(self.sizes)

    def sync(self, covered: tuple[int, int]) -> None:
        """Make durable what `mark` said; what was written since then stays pending."""
        size, content = self.durable
        writes, sizes = covered
        for offset, data in self.writes[:writes]:
            _overwrite(content, offset, data)
            # Also where a failed sync had dropped the size: what is synced can be read back.
            size = max(size, offset + len(data))
        self.durable = (self.sizes[sizes - 1] if sizes else size, content)
        del self.writes[:writes]
        del self.sizes[:sizes]
        if self.dropped and not self.writes:
            self.dropped = content.rstrip(b"\0") != self.cached.rstrip(b"\0")

    def fail_sync(self, covered: tuple[int, int], random: Random) -> None:
        """A sync failed: of what it covered, any sectors are durable, and the rest will
        never be, though the cache shows it."""
        size, content = self._torn(covered, random)
        self.durable = (size, content)
        self.dropped = True
        del self.writes[: covered[0]]
        del self.sizes[: covered[1]]

    def lose_power(self, random: Random) -> None:
        """Become what another start finds."""
        size, content = self._torn(self.mark(), random)
        self.size, self.cached = size, content
        self.durable = (size, bytearray(content))
        self.writes, self.sizes, self.dropped = [], [], False

    def _torn(self, covered: tuple[int, int], random: Random) -> tuple[int, bytearray]:
        size, durable = self.durable
        content = bytearray(durable)
        versions: dict[int, list[bytes]] = {}
        latest = bytearray(durable)
        for offset, data in self.writes[: covered[0]]:
            _overwrite(latest, offset, data)
            for sector in range(offset // SECTOR_BYTES, -(-(offset + len(data)) // SECTOR_BYTES)):
                at = sector * SECTOR_BYTES
                versions.setdefault(sector, []).append(
                    bytes(latest[at : at + SECTOR_BYTES]).ljust(SECTOR_BYTES, b"\0")
                )
        how = random.random()
        for sector, found in sorted(versions.items()):
            # All or nothing, now and then: most power losses hit an idle or a busy disk.
            kept = len(found) if how < 0.15 else 0 if how < 0.3 else random.randint(0, len(found))
            if kept:
                _overwrite(content, sector * SECTOR_BYTES, found[kept - 1])
        sizes = [size, *self.sizes[: covered[1]]]
        chosen = sizes[-1] if how < 0.15 else random.choice(sizes)
        return chosen, content[:chosen]

    def rot(self, random: Random) -> int | None:
        """Flip one bit of what is durable; where, or None for an empty file."""
        if not self.cached:
            return None
        at = random.randrange(len(self.cached))
        bit = 1 << random.randrange(8)
        self.cached[at] ^= bit
        content = self.durable[1]
        if at < len(content):
            content[at] ^= bit
        return at


def _overwrite(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


Entries = dict[str, Any]
Change = Callable[[Entries], None]


class Volume:
    """A tree of directories, by paths with "/". Entries are `Inode`s, directories
    (`Volume`s of their own) and whatever else has `lose_power`."""

    def __init__(self) -> None:
        self.entries: Entries = {}
        self._durable: Entries = {}
        self._changes: list[Change] = []

    def change(self, change: Change) -> None:
        change(self.entries)
        self._changes.append(change)

    def sync(self) -> None:
        for change in self._changes:
            change(self._durable)
        self._changes.clear()

    def unsynced_below(self) -> int:
        """Changes here and in directories below that a power loss may undo."""
        below = (one for one in self.entries.values() if isinstance(one, Volume))
        return len(self._changes) + sum(one.unsynced_below() for one in below)

    def lose_power(self, random: Random) -> None:
        for change in self._changes[: random.randint(0, len(self._changes))]:
            change(self._durable)
        self._changes.clear()
        self.entries = dict(self._durable)
        for name in sorted(self.entries):
            self.entries[name].lose_power(random)

    def at(self, path: str) -> Any:
        """The entry at `path`, or None."""
        found: Any = self
        for part in parts(path):
            if not isinstance(found, Volume):
                return None
            found = found.entries.get(part)
        return found

    def directory(self, path: str) -> Volume:
        """Raises FileNotFoundError."""
        found = self.at(path)
        if not isinstance(found, Volume):
            raise FileNotFoundError(f"no directory {path}")
        return found

    def files(self, path: str = "") -> list[tuple[str, Inode]]:
        """All files below, by path, in order."""
        found: list[tuple[str, Inode]] = []
        for name in sorted(self.entries):
            entry = self.entries[name]
            if isinstance(entry, Volume):
                found += entry.files(f"{path}{name}/")
            elif isinstance(entry, Inode):
                found.append((path + name, entry))
        return found


def parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ROOT)]


def parent_and_name(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent or ROOT, name
