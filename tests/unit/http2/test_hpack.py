from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.node.http2 import hpack, huffman
from splitbrain.node.http2.hpack import Decoder, HpackError

REQUESTS = (
    ("828684418cf1e3c2e5f23a6ba0ab90f4ff", ()),
    ("828684be5886a8eb10649cbf", ((b"cache-control", b"no-cache"),)),
)
COMMON = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"),
          (b":authority", b"www.example.com"))  # fmt: skip


def test_the_requests_of_the_rfcs_example_are_decoded() -> None:
    """RFC 7541, appendix C.4: Huffman-coded requests that share one table."""
    decoder = Decoder()
    for block, more in REQUESTS:
        assert decoder.decode(bytes.fromhex(block)) == (*COMMON, *more)


def test_the_responses_of_the_rfcs_example_evict_entries() -> None:
    """RFC 7541, appendix C.6, with the table of 256 bytes that it uses."""
    decoder = Decoder()
    decoder.decode(b"\x3f\xe1\x01")  # the size 256
    first = decoder.decode(
        bytes.fromhex(
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff"
            "6e919d29ad171863c78f0b97c8e9ae82ae43d3"
        )
    )
    assert first == (
        (b":status", b"302"), (b"cache-control", b"private"),
        (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"), (b"location", b"https://www.example.com"),
    )  # fmt: skip
    second = decoder.decode(bytes.fromhex("4883640effc1c0bf"))
    assert second == ((b":status", b"307"), *first[1:])
    with pytest.raises(HpackError, match="no entry"):
        decoder.decode(b"\xc2")  # ":status 302", which the second block evicted


def test_a_repeated_block_is_decoded_with_the_table_of_now() -> None:
    decoder = Decoder()
    add = b"\x40\x01a\x01"
    decoder.decode(add + b"1")
    assert decoder.decode(b"\xbe") == ((b"a", b"1"),)
    assert decoder.decode(b"\xbe") == ((b"a", b"1"),)
    decoder.decode(add + b"2")
    assert decoder.decode(b"\xbe") == ((b"a", b"2"),)


headers = st.lists(st.tuples(st.binary(min_size=1, max_size=200), st.binary(max_size=300)))


@given(headers)
def test_encoded_fields_are_decoded(fields: list[tuple[bytes, bytes]]) -> None:
    assert Decoder().decode(hpack.encode(fields)) == tuple(fields)


@given(st.binary())
def test_any_bytes_are_decoded_or_refused(block: bytes) -> None:
    with contextlib.suppress(HpackError):
        Decoder().decode(block)


def huffman_encode(data: bytes) -> bytes:
    """Encode with codes that are computed from the lengths, in another way than the decoder's."""
    codes: dict[int, str] = {}
    code, length = 0, 0
    for bits, symbol in sorted((bits, symbol) for symbol, bits in enumerate(huffman._LENGTHS)):
        code <<= bits - length
        length = bits
        codes[symbol] = f"{code:0{bits}b}"
        code += 1
    text = "".join(codes[byte] for byte in data)
    text += "1" * (-len(text) % 8)
    return int("1" + text, 2).to_bytes(len(text) // 8 + 1, "big")[1:]


@given(st.binary())
def test_huffman_coded_bytes_are_decoded(data: bytes) -> None:
    assert huffman.decode(huffman_encode(data)) == data


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x00\x00\x07", b"\x1f\xff"])
def test_wrong_padding_and_the_end_of_string_are_refused(data: bytes) -> None:
    with pytest.raises(huffman.HuffmanError):
        huffman.decode(data)


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (b"\x80", "no entry 0"),
        (b"\xff\xff\xff\xff\xff\xff\x0f", "an integer of more than 32 bits"),
        (b"\x40\x05ab", "ends within a string"),
        (b"\x40", "ends within a field"),
        (b"\x3f\xe2\x1f", "a table of 4097 bytes"),
        (b"\x82\x20", "follows a field"),
    ],
)
def test_a_malformed_block_is_refused(block: bytes, why: str) -> None:
    with pytest.raises(HpackError, match=why):
        Decoder().decode(block)
