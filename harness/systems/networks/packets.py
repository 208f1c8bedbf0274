"""Reads the addresses of IPv4 packets, and flips bits in them without breaking the checksum.

Source: RFC 791, RFC 9293 and RFC 768.
"""

from __future__ import annotations

import socket
import sys
from random import Random

_TCP, _UDP = 6, 17
_CHECKSUM_AT = {_TCP: 16, _UDP: 6}


def ends(packet: bytes) -> tuple[str, str] | None:
    """Return the addresses of source and target, or None if the packet is not IPv4."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    return socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])


def with_flipped_bit(packet: bytes, random: Random) -> bytes:
    """Return the packet with one bit of its content flipped, and with a matching checksum.

    Headers do not change, so that the packet reaches the process. A packet without content, such as
    a bare acknowledgement, is returned without a change.
    """
    header = (packet[0] & 15) * 4
    protocol = packet[9]
    content = header + (8 if protocol == _UDP else 0)
    if protocol == _TCP and len(packet) > header + 13:
        content = header + (packet[header + 12] >> 4) * 4
    if content >= len(packet) or protocol not in _CHECKSUM_AT:
        return packet
    changed = bytearray(packet)
    changed[random.randrange(content, len(packet))] ^= 1 << random.randrange(8)
    place = header + _CHECKSUM_AT[protocol]
    changed[place : place + 2] = b"\0\0"
    length = len(packet) - header
    pseudo_header = packet[12:20] + bytes((0, protocol)) + length.to_bytes(2, "big")
    checksum = ones_complement_sum(pseudo_header + changed[header:]) ^ 0xFFFF
    changed[place : place + 2] = (checksum or 0xFFFF).to_bytes(2, "big")
    return bytes(changed)


def ones_complement_sum(data: bytes) -> int:
    """Return the sum of the 16-bit words of `data` in ones' complement, as in RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(memoryview(data).cast("H"))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int.from_bytes(total.to_bytes(2, sys.byteorder), "big")
