"""Decodes JSON so that equal keys of the store are one object in memory.

The keys of a history are few, but each operation contains several. msgspec creates a new text for
each field of the type `str`. For a field of a type `Literal`, it returns the text of that type. So
a block of lines of a large file is first searched for keys, and then decoded with the type
`Literal` of all keys found so far. A block with other keys is decoded with the type `str`.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Generic, Literal, TypeVar

import msgspec

Line = TypeVar("Line")

SMALL_BYTES = 1 << 20
"""Keys are not shared in the first blocks, up to this size in total. A decoder for given keys is
constructed in about 2 ms, which is longer than a small file takes."""
KEYS_MAX = 5_000
"""With more keys, a type `Literal` of all keys is not used."""
BLOCKS_MAX = 20
"""New keys are searched in at most this number of blocks."""
SEARCHED_BYTES_MAX = 1 << 18
"""New keys are searched in this number of bytes at the beginning of a block."""
_KEYS = re.compile(rb'"(?:key|range_end)"\s*:\s*("(?:[^"\\]|\\.)*")')


@functools.cache
def _decoder_of_any_key(generic: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(generic[str])


class SharedKeyDecoder(Generic[Line]):
    """Decodes lines of JSON, and returns one object for equal keys.

    `generic` is the type of a line. Its one type parameter is the type of the keys.
    """

    def __init__(self, generic: Any) -> None:
        self._generic = generic
        self._any_key: msgspec.json.Decoder[Line] = _decoder_of_any_key(generic)
        self._known_keys: msgspec.json.Decoder[Line] | None = None
        self._keys: dict[str, None] = {"": None}
        self._blocks_left = BLOCKS_MAX
        self._read_bytes = 0

    def decode_lines(self, block: bytes) -> list[Line]:
        """Decode each line of `block`. Raises msgspec.MsgspecError for an invalid line."""
        self._read_bytes += len(block)
        if self._read_bytes <= SMALL_BYTES:
            return self._any_key.decode_lines(block)
        while self._known_keys is not None or self._add_keys(block):
            assert self._known_keys is not None
            try:
                return self._known_keys.decode_lines(block)
            except msgspec.ValidationError:  # A line has a new key, or is invalid.
                self._known_keys = None
        return self._any_key.decode_lines(block)

    def _add_keys(self, block: bytes) -> bool:
        """Add the keys of `block`. Returns whether there were new keys, and not too many."""
        known = len(self._keys)
        if self._blocks_left and known <= KEYS_MAX:
            self._blocks_left -= 1
            for text in set(_KEYS.findall(block, 0, SEARCHED_BYTES_MAX)):
                self._keys[msgspec.json.decode(text, type=str)] = None
        if known == len(self._keys) or len(self._keys) > KEYS_MAX:
            return False
        keys: Any = Literal[tuple(sorted(self._keys))]
        self._known_keys = msgspec.json.Decoder(self._generic[keys])
        return True
