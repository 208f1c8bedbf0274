"""Writes the seal of the write-ahead log, a file that records where the durable log ends.

The log alone cannot show that its last records are missing. Suppose that its last records are gone
after a power failure. Either they were never synced, or the disk has lost them after the sync. Only
in the second case may the member have acknowledged them. The log contains the same bytes in both
cases, but the seal distinguishes them. It is written after each sync of the log, and is durable
before the member acknowledges any record of that sync. At the next start, the member compares the
log with the seal:

- If the log is complete up to the seal, the missing records were never acknowledged.
- Otherwise the disk has lost acknowledged data. The seal still contains the last promises of this
  member: its term and vote, and the last entry of its log.

The file has two slots of 4096 bytes, which are written in turn. A torn write of one slot leaves the
other one intact. A slot has these fields, with sizes in bytes:

    magic (8) | CRC32C of the rest (4) | length (4) | number of the write (8) | msgpack of `Seal`

If the disk damages both the seal and the log, the damage is noticed only if the rest of one file
contradicts the rest of the other file.

Source: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018 (a
persist record distinguishes a crash from a corruption); TigerBeetle's redundant headers.
"""

from __future__ import annotations

import struct

import google_crc32c
import msgspec

from splitbrain.node.raft.message import HardState, Index, Term
from splitbrain.node.world import Disk, File

MAGIC = b"SBSEAL\x00\x01"
SLOT_BYTES = 4096
"""The size of a slot in bytes.

It is the largest unit that disks write, so that a torn write damages only one slot.
"""
SLOTS = 2
_CRC_AT = len(MAGIC)
_CHECKED_AT = _CRC_AT + 4
_HEADER = struct.Struct("<IQ")
_encode = msgspec.msgpack.Encoder().encode


class Seal(msgspec.Struct, frozen=True, array_like=True):
    """The end of the durable log, and the promises that this member may have made so far.

    A promise is a vote in a term, or the acknowledgement of an entry.
    """

    cluster_id: int
    member_id: int
    sequence: int
    """The sequence number of the newest segment of the log."""
    end: int
    """The offset in the newest segment up to which the log is durable."""
    link: int
    """The link (`splitbrain.node.storage.wal_record`) of the record that ends at `end`."""
    hard_state: HardState
    last_term: Term
    last_index: Index
    """The index of the last entry of the log, or of a later one that the disk has lost.

    `last_term` is the term of this entry.
    """
    starts: int = 0
    """How often the member was started. The file `incarnation` contains the same number."""


_decode = msgspec.msgpack.Decoder(Seal).decode


class SealFile:
    """The file `path` that contains the seal of one log. The first `write` creates the file."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._path = path
        self._file: File | None = None
        self._number = 0
        self.starts = 0
        """How often the member was started. Every later seal contains this number."""

    def read(self) -> Seal | None:
        """Return the newest complete seal, or None if there is none. Raises DiskError."""
        if not self._disk.exists(self._path):
            return None
        content = self._disk.read(self._path)
        slots = [decode_slot(content[at : at + SLOT_BYTES]) for at in slot_offsets()]
        newest = max((slot for slot in slots if slot is not None), default=None, key=_number)
        if newest is None:
            return None
        self._number = newest[0]
        return newest[1]

    async def write(self, seal: Seal) -> None:
        """Replace the older slot by `seal`. When this method returns, the seal is durable.

        Raises DiskError.
        """
        file = self._file or await self._open()
        self._number += 1
        seal = msgspec.structs.replace(seal, starts=self.starts)
        file.write(self._number % SLOTS * SLOT_BYTES, encode_slot(self._number, seal))
        await file.sync()

    async def _open(self) -> File:
        if self._disk.exists(self._path):
            self._file = self._disk.open(self._path)
        else:
            self._file = self._disk.create(self._path, preallocate_bytes=SLOTS * SLOT_BYTES)
            await self._file.sync()
            await self._disk.sync_directory(self._path.rpartition("/")[0] or ".")
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def slot_offsets() -> range:
    """Return the offsets of the slots in the file."""
    return range(0, SLOTS * SLOT_BYTES, SLOT_BYTES)


def encode_slot(number: int, seal: Seal) -> bytes:
    """Return the bytes of a slot with `seal`. `number` counts the writes of the file."""
    body = _encode(seal)
    checked = _HEADER.pack(len(body), number) + body
    crc: int = google_crc32c.value(checked)
    slot = MAGIC + crc.to_bytes(4, "little") + checked
    assert len(slot) <= SLOT_BYTES, f"a seal of {len(slot)} bytes does not fit into a slot"
    return slot


def decode_slot(slot: bytes) -> tuple[int, Seal] | None:
    """Return the number and the seal of a slot, or None if the slot is empty or damaged."""
    if not slot.startswith(MAGIC) or len(slot) < _CHECKED_AT + _HEADER.size:
        return None
    length, number = _HEADER.unpack_from(slot, _CHECKED_AT)
    end = _CHECKED_AT + _HEADER.size + length
    crc = int.from_bytes(slot[_CRC_AT:_CHECKED_AT], "little")
    if end > len(slot) or google_crc32c.value(slot[_CHECKED_AT:end]) != crc:
        return None
    return number, _decode(slot[_CHECKED_AT + _HEADER.size : end])


def _number(slot: tuple[int, Seal]) -> int:
    return slot[0]
