"""A packet whose content a corrupting link has changed still has a correct checksum."""

from __future__ import annotations

import socket
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from splitbrain.harness.systems.networks.packets import (
    ends,
    ones_complement_sum,
    with_flipped_bit,
)


def packet(protocol: int, content: bytes) -> bytes:
    """A packet from 10.0.0.1 to 10.0.0.2 with a correct checksum."""
    header = bytes((0x45, 0, 0, 0)) + bytes(4) + bytes((64, protocol, 0, 0)) + ADDRESSES
    if protocol == 6:
        above = bytes(12) + bytes((5 << 4, 16)) + bytes(6)
        place = 16
    else:
        above, place = bytes(8), 6
    plain = bytearray(above + content)
    plain[place : place + 2] = (checksum(protocol, plain) ^ 0xFFFF or 0xFFFF).to_bytes(2, "big")
    return header + bytes(plain)


def checksum(protocol: int, data: bytes | bytearray) -> int:
    pseudo = ADDRESSES + bytes((0, protocol)) + len(data).to_bytes(2, "big")
    return ones_complement_sum(pseudo + data)


ADDRESSES = socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2")


@given(st.sampled_from((6, 17)), st.binary(min_size=1, max_size=99), st.integers(0, 99))
def test_one_bit_of_the_content_changes_and_the_checksum_fits(
    protocol: int, content: bytes, seed: int
) -> None:
    before = packet(protocol, content)
    after = with_flipped_bit(before, Random(seed))
    size = len(content)
    changed = int.from_bytes(before[-size:], "big") ^ int.from_bytes(after[-size:], "big")
    assert changed.bit_count() == 1
    assert checksum(protocol, after[20:]) == 0xFFFF
    assert ends(after) == ("10.0.0.1", "10.0.0.2")


def test_a_packet_without_content_is_unchanged() -> None:
    assert with_flipped_bit(packet(6, b""), Random(1)) == packet(6, b"")
    assert ends(b"\x60" + bytes(40)) is None
