"""A simulated disk: files and directories, and the part of each that is durable.

This module is pure. `harness/simulation/machine_disk.py` adds the time that operations take and the
view of a process. `fuse_operations.py` makes a file system from it, which any process can use.

A file consists of three parts:

- its page cache, which every process reads;
- its content at the last sync;
- the writes since the last sync.

After a power loss, each sector contains its version at the last sync or one of its later versions.
The versions of the sectors are independent, because the disk may have written the sectors back in
any order and at any time. A sector itself is never torn. The size of the file is its size at the
last sync, or a size that it had since then.

A directory keeps its entries of the last sync. Of the changes since then, a power loss keeps the
first ones, up to a random point, because file systems journal their changes in order. Changes of
different directories have no common order. A file whose entry is lost is lost with all its content.

Source for unsynced writes and directory operations: Pillai et al., "All File Systems Are Not
Created Equal", OSDI 2014. SQLite and etcd's WAL also assume that a write of 512 bytes is atomic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

SECTOR_BYTES = 512
SYNCS_REMEMBERED = 12
"""How many syncs a file remembers. Only a sector that one of these last syncs wrote can be lost."""
ROOT = "."


class Inode:
    """A file: its page cache, its durable content, and the writes that are not synced yet.

    A failed sync makes only a part of its data durable. The other part stays in the page cache, but
    Linux has marked its pages as clean (Rebello et al., USENIX ATC 2020). Therefore later syncs
    skip this part. It becomes durable only if it is written again.
    """

    __slots__ = ("cached", "dropped", "durable", "history", "size", "sizes", "writes")

    def __init__(self, *, remembers: bool = False) -> None:
        self.size = 0
        self.cached = bytearray()
        """The page cache, without trailing zeros. It can be shorter than `size`; the missing bytes
        are zeros."""
        self.durable: tuple[int, bytearray] = (0, bytearray())
        """The size and the content at the last sync. The content has no trailing zeros."""
        self.writes: list[tuple[int, bytes]] = []
        self.sizes: list[int] = []
        self.dropped = False
        """Whether a failed sync has dropped data that was not written again since."""
        self.history: deque[dict[int, bytes]] | None = None
        """For each of the last syncs: the sectors that it changed, as number and earlier content.
        None if the file was created without `remembers`."""
        if remembers:
            self.history = deque(maxlen=SYNCS_REMEMBERED)

    @property
    def unsynced_bytes(self) -> int:
        """Return the number of bytes that a power loss could lose.

        Data that a failed sync has dropped counts as one byte.
        """
        return sum(len(data) for _, data in self.writes) + self.dropped

    def read(self) -> bytes:
        return bytes(self.cached).ljust(self.size, b"\0")

    def write(self, offset: int, data: bytes, lost: Callable[[int], bool] | None = None) -> None:
        """Write `data` at `offset` to the page cache.

        If `lost` is given, the write is torn: a sector never becomes durable if `lost` returns True
        for its number.
        """
        _overwrite(self.cached, offset, data)
        self.writes += [(offset, bytes(data))] if lost is None else _kept(offset, data, lost)
        if offset + len(data) > self.size:
            self.resize(offset + len(data))

    def resize(self, size: int) -> None:
        if size < len(self.cached):
            # If the file grows again, the truncated part must read as zeros.
            cut = len(self.cached) - size
            self.writes.append((size, bytes(cut)))
            del self.cached[size:]
        self.size = size
        self.sizes.append(size)

    def mark(self) -> tuple[int, int]:
        """Return how many writes and how many size changes are pending, for `sync` or `fail_sync`.

        A sync that begins now covers them.
        """
        return len(self.writes), len(self.sizes)

    def sync(self, covered: tuple[int, int]) -> None:
        """Make the writes durable that were pending when `mark` returned `covered`.

        Later writes stay pending.
        """
        size, content = self.durable
        writes, sizes = covered
        if self.history is not None:
            self.history.append(_sectors_before(content, self.writes[:writes]))
        for offset, data in self.writes[:writes]:
            _overwrite(content, offset, data)
            # A failed sync may have dropped the size, but synced data must be readable.
            size = max(size, offset + len(data))
        self.durable = (self.sizes[sizes - 1] if sizes else size, content)
        del self.writes[:writes]
        del self.sizes[:sizes]
        if self.dropped and not self.writes:
            self.dropped = content.rstrip(b"\0") != self.cached.rstrip(b"\0")

    def fail_sync(self, covered: tuple[int, int], random: Random) -> None:
        """Apply a failed sync: a random part of the sectors that it covers becomes durable.

        The page cache still contains the other sectors. They become durable only if they are
        written again.
        """
        size, content = self._torn(covered, random)
        self.durable = (size, content)
        self.dropped = True
        del self.writes[: covered[0]]
        del self.sizes[: covered[1]]

    def lose_power(self, random: Random) -> None:
        """Replace the page cache by the content that remains after a power loss."""
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
            # Sometimes all sectors or none are kept, as on an idle or on a busy disk.
            kept = len(found) if how < 0.15 else 0 if how < 0.3 else random.randint(0, len(found))
            if kept:
                _overwrite(content, sector * SECTOR_BYTES, found[kept - 1])
        sizes = [size, *self.sizes[: covered[1]]]
        chosen = sizes[-1] if how < 0.15 else random.choice(sizes)
        return chosen, content[:chosen]

    def lose_sectors(self, random: Random, count: int) -> list[int]:
        """Damage the file: up to `count` durable sectors get back earlier content.

        The function draws one of the last syncs, often the last one. Then it draws the sectors
        among those that this sync wrote. Returns the numbers of the sectors.
        """
        changed = [sectors for sectors in self.history or () if sectors]
        if not changed:
            return []
        sectors = changed[-1] if random.random() < 0.5 else random.choice(changed)
        lost = sorted(random.sample(sorted(sectors), min(count, len(sectors))))
        content = self.durable[1]
        for sector in lost:
            _overwrite(content, sector * SECTOR_BYTES, sectors[sector])
        return lost

    def rot(self, random: Random, bits: int = 1) -> int | None:
        """Flip `bits` bits of one random sector, in the page cache and on the disk.

        Returns the offset of the first changed byte, or None if the file is empty.
        """
        if not self.cached:
            return None
        first = random.randrange(len(self.cached))
        self._flip(first, random)
        sector = first // SECTOR_BYTES * SECTOR_BYTES
        for _ in range(bits - 1):
            end = min(sector + SECTOR_BYTES, len(self.cached))
            self._flip(random.randrange(sector, end), random)
        return first

    def _flip(self, at: int, random: Random) -> None:
        bit = 1 << random.randrange(8)
        self.cached[at] ^= bit
        content = self.durable[1]
        if at < len(content):
            content[at] ^= bit


def _sectors_of(offset: int, size: int) -> range:
    return range(offset // SECTOR_BYTES, -(-(offset + size) // SECTOR_BYTES))


def _sectors_before(
    content: bytearray, writes: Sequence[tuple[int, bytes]]
) -> dict[int, bytes]:
    """Return the sectors that `writes` change, with their contents before these writes."""
    return {
        sector: bytes(
            content[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES]
        ).ljust(SECTOR_BYTES, b"\0")
        for offset, data in writes for sector in _sectors_of(offset, len(data))
    }


def _kept(
    offset: int, data: bytes, lost: Callable[[int], bool]
) -> list[tuple[int, bytes]]:
    """Return the parts of a write that do not lie in lost sectors, as offsets and data."""
    kept = []
    for sector in _sectors_of(offset, len(data)):
        begin = max(sector * SECTOR_BYTES, offset)
        end = min((sector + 1) * SECTOR_BYTES, offset + len(data))
        if not lost(sector):
            kept.append((begin, bytes(data[begin - offset : end - offset])))
    return kept


def _overwrite(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


Entries = dict[str, Any]
Change = Callable[[Entries], None]


class Volume:
    """A directory, and the tree below it. Paths are separated by "/".

    An entry is a file (`Inode`), a directory (`Volume`), or a backend (`StoredBackend`).
    """

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
        """Return the number of changes in this tree that a power loss could undo."""
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
        """Return the entry at `path`, or None if it does not exist."""
        found: Any = self
        for part in parts(path):
            if not isinstance(found, Volume):
                return None
            found = found.entries.get(part)
        return found

    def directory(self, path: str) -> Volume:
        """Return the directory at `path`. Raises FileNotFoundError."""
        found = self.at(path)
        if not isinstance(found, Volume):
            raise FileNotFoundError(f"no directory {path}")
        return found

    def files(self, path: str = "") -> list[tuple[str, Inode]]:
        """Return all files of this tree with their paths, sorted by path.

        `path` is the path of this directory. The returned paths begin with it.
        """
        found: list[tuple[str, Inode]] = []
        for name in sorted(self.entries):
            entry = self.entries[name]
            if isinstance(entry, Volume):
                found += entry.files(f"{path}{name}/")
            elif isinstance(entry, Inode):
                found.append((path + name, entry))
        return found


def put_entry(name: str, entry: object) -> Change:
    """Return a change that adds `entry` to a directory as `name`.

    It replaces an entry of the same name.
    """
    def change(entries: Entries) -> None:
        entries[name] = entry

    return change


def move_entry(old: str, new: str) -> Change:
    """Return a change that renames the entry `old` of a directory to `new`."""
    def change(entries: Entries) -> None:
        entries[new] = entries.pop(old)

    return change


def drop_entry(name: str) -> Change:
    """Return a change that removes the entry `name` from a directory, if it exists there."""
    def change(entries: Entries) -> None:
        entries.pop(name, None)

    return change


def parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ROOT)]


def parent_and_name(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent or ROOT, name
