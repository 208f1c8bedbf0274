"""HPACK: the compression of header fields in HTTP/2.

The decoder implements the whole of HPACK. The encoder needs no state, because it adds nothing to
the peer's table.

Source: RFC 7541.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from splitbrain.node.http2.huffman import HuffmanError
from splitbrain.node.http2.huffman import decode as huffman_decode

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]

TABLE_BYTES = 4096
"""The size of the decoder's table, which is the default of the setting HEADER_TABLE_SIZE."""
_ENTRY_OVERHEAD_BYTES = 32
CACHED_BLOCKS_MAX = 256
HEADERS_BYTES_MAX = 64 * 1024
"""Maximal size of the header fields of a block after decoding."""

_STATIC: Headers = (
    (b":authority", b""), (b":method", b"GET"), (b":method", b"POST"), (b":path", b"/"),
    (b":path", b"/index.html"), (b":scheme", b"http"), (b":scheme", b"https"),
    (b":status", b"200"), (b":status", b"204"), (b":status", b"206"), (b":status", b"304"),
    (b":status", b"400"), (b":status", b"404"), (b":status", b"500"), (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"), (b"accept-language", b""), (b"accept-ranges", b""),
    (b"accept", b""), (b"access-control-allow-origin", b""), (b"age", b""), (b"allow", b""),
    (b"authorization", b""), (b"cache-control", b""), (b"content-disposition", b""),
    (b"content-encoding", b""), (b"content-language", b""), (b"content-length", b""),
    (b"content-location", b""), (b"content-range", b""), (b"content-type", b""), (b"cookie", b""),
    (b"date", b""), (b"etag", b""), (b"expect", b""), (b"expires", b""), (b"from", b""),
    (b"host", b""), (b"if-match", b""), (b"if-modified-since", b""), (b"if-none-match", b""),
    (b"if-range", b""), (b"if-unmodified-since", b""), (b"last-modified", b""), (b"link", b""),
    (b"location", b""), (b"max-forwards", b""), (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""), (b"range", b""), (b"referer", b""), (b"refresh", b""),
    (b"retry-after", b""), (b"server", b""), (b"set-cookie", b""),
    (b"strict-transport-security", b""), (b"transfer-encoding", b""), (b"user-agent", b""),
    (b"vary", b""), (b"via", b""), (b"www-authenticate", b""),
)  # fmt: skip
_STATIC_INDEX = {header: index for index, header in reversed([*enumerate(_STATIC, 1)])}
_STATIC_NAME_INDEX = {name: index for index, (name, _) in reversed([*enumerate(_STATIC, 1)])}


class HpackError(ValueError):
    """A block of header fields cannot be decoded. The connection cannot continue."""


class Decoder:
    """Decodes the blocks of one connection, in their order.

    A block that a client repeats is decoded once, as long as the table does not change.
    """

    def __init__(self) -> None:
        self._table: deque[Header] = deque()
        self._table_bytes = 0
        self._table_bytes_max = TABLE_BYTES
        self._decoded: dict[bytes, Headers] = {}

    def decode(self, block: bytes) -> Headers:
        """Return the header fields of a block. Raises HpackError."""
        headers = self._decoded.get(block)
        if headers is not None:
            return headers
        try:
            headers, repeatable = self._decode(block)
        except IndexError:
            raise HpackError("the block ends within a field") from None
        except HuffmanError as problem:
            raise HpackError(str(problem)) from None
        if repeatable:
            if len(self._decoded) >= CACHED_BLOCKS_MAX:
                self._decoded.clear()
            self._decoded[block] = headers
        return headers

    def _decode(self, block: bytes) -> tuple[Headers, bool]:
        """Return the header fields, and whether the block left the table as it was."""
        found: list[Header] = []
        at, size, repeatable = 0, 0, True
        while at < len(block):
            first = block[at]
            if first & 0x80:  # an indexed field
                index, at = _integer(block, at, 0x7F)
                header = self._entry(index)
            elif first & 0x40:  # a literal that becomes an entry of the table
                header, at = self._literal(block, at, 0x3F)
                self._add(header)
                repeatable = False
            elif first & 0x20:  # a new size of the table
                if found:
                    raise HpackError("a change of the table's size follows a field")
                bytes_max, at = _integer(block, at, 0x1F)
                self._resize(bytes_max)
                repeatable = False
                continue
            else:
                header, at = self._literal(block, at, 0x0F)
            size += len(header[0]) + len(header[1]) + _ENTRY_OVERHEAD_BYTES
            if size > HEADERS_BYTES_MAX:
                raise HpackError(f"header fields of more than {HEADERS_BYTES_MAX} bytes")
            found.append(header)
        return tuple(found), repeatable

    def _literal(self, block: bytes, at: int, mask: int) -> tuple[Header, int]:
        index, at = _integer(block, at, mask)
        if index:
            name = self._entry(index)[0]
        else:
            name, at = _string(block, at)
        value, at = _string(block, at)
        return (name, value), at

    def _entry(self, index: int) -> Header:
        if 0 < index <= len(_STATIC):
            return _STATIC[index - 1]
        place = index - len(_STATIC) - 1
        if not 0 <= place < len(self._table):
            raise HpackError(f"no entry {index} in the table")
        return self._table[place]

    def _add(self, header: Header) -> None:
        self._decoded.clear()
        self._table.appendleft(header)
        self._table_bytes += _entry_bytes(header)
        self._evict()

    def _resize(self, bytes_max: int) -> None:
        if bytes_max > TABLE_BYTES:
            raise HpackError(f"a table of {bytes_max} bytes; expected {TABLE_BYTES} or less")
        self._decoded.clear()
        self._table_bytes_max = bytes_max
        self._evict()

    def _evict(self) -> None:
        while self._table_bytes > self._table_bytes_max:
            self._table_bytes -= _entry_bytes(self._table.pop())


def _entry_bytes(header: Header) -> int:
    return len(header[0]) + len(header[1]) + _ENTRY_OVERHEAD_BYTES


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """Return the integer whose first byte is at `at`, and the offset after it."""
    number = block[at] & mask
    at += 1
    if number < mask:
        return number, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        number += (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 28:
            raise HpackError("an integer of more than 32 bits")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    coded = block[at] & 0x80
    length, at = _integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise HpackError("the block ends within a string")
    data = block[at:end]
    return (huffman_decode(data) if coded else data), end


def encode(headers: Iterable[Header]) -> bytes:
    """Return a block that adds nothing to the peer's table."""
    block = bytearray()
    for name, value in headers:
        index = _STATIC_INDEX.get((name, value))
        if index is not None:
            _write_integer(block, index, 0x80, 0x7F)
            continue
        name_index = _STATIC_NAME_INDEX.get(name, 0)
        _write_integer(block, name_index, 0x00, 0x0F)
        if not name_index:
            _write_integer(block, len(name), 0x00, 0x7F)
            block += name
        _write_integer(block, len(value), 0x00, 0x7F)
        block += value
    return bytes(block)


def _write_integer(block: bytearray, number: int, first: int, mask: int) -> None:
    if number < mask:
        block.append(first | number)
        return
    block.append(first | mask)
    number -= mask
    while number >= 0x80:
        block.append(0x80 | (number & 0x7F))
        number >>= 7
    block.append(number)
