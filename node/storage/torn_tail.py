"""Decides whether damage in the log is a torn write or corruption.

A torn write is a record that was never synced. The log is cut before it. All other damage is
corruption, and the log cannot be opened.
"""

from __future__ import annotations

from splitbrain.node.storage.wal_record import ALIGNMENT_BYTES, HEADER, Damage, body_crc


def is_torn(damage: Damage, data: bytes, at: int, sealed_end: int | None) -> bool:
    """Return whether `damage` at offset `at` is a torn record, which was never synced.

    `data` is the content of the segment. The first rule that fits decides:

    - Damage at offset 0, the head of the segment, is not torn.
    - If a later record shows that the data was synced, the damage is not torn.
    - With a seal, the damage is torn if it is at `sealed_end` or later.
    - Without a seal (`sealed_end` is None), the damage is torn if a lost sector explains it.
    """
    if at == 0 or was_durable(data, at):
        return False
    return damage.torn if sealed_end is None else at >= sealed_end


def was_durable(data: bytes, at: int) -> bool:
    """Return whether a complete record after `at` proves that the data at `at` was synced."""
    for place in range(at + ALIGNMENT_BYTES, len(data) - HEADER.size, ALIGNMENT_BYTES):
        length, durable, crc, _ = HEADER.unpack_from(data, place)
        begin = place + HEADER.size
        if not at < durable <= place or not 0 < length <= len(data) - begin:
            continue
        if body_crc(data[place : place + 8], data[begin : begin + length]) == crc:
            return True
    return False
