"""Encodes the frames of a connection between members.

A frame consists of its length (4 bytes, big-endian), the CRC32C of its payload (4 bytes) and the
payload. A wrong checksum ends the connection, because the position of the next frame is unknown.
"""

from __future__ import annotations

import struct

import google_crc32c

HEADER = struct.Struct(">II")


def framed(payload: bytes) -> bytes:
    """Return `payload` as a frame."""
    return HEADER.pack(len(payload), google_crc32c.value(payload)) + payload


def intact(payload: bytes, checksum: int) -> bool:
    """Return whether `checksum`, which was sent with a frame, is the CRC32C of its `payload`."""
    return bool(google_crc32c.value(payload) == checksum)
