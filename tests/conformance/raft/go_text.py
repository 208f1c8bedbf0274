"""Formats values as Go's fmt package prints them."""

from __future__ import annotations

_ESCAPES = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", '"': '\\"',
}  # fmt: skip


def quoted(data: bytes) -> str:
    """Quote a byte string like the verb %q."""
    shown = []
    for char in data.decode("utf-8", errors="surrogateescape"):
        if char in _ESCAPES:
            shown.append(_ESCAPES[char])
        elif 0xDC80 <= ord(char) <= 0xDCFF:
            shown.append(f"\\x{ord(char) - 0xDC00:02x}")
        elif char.isprintable():
            shown.append(char)
        elif ord(char) < 0x80:
            shown.append(f"\\x{ord(char):02x}")
        elif ord(char) < 0x10000:
            shown.append(f"\\u{ord(char):04x}")
        else:
            shown.append(f"\\U{ord(char):08x}")
    return '"' + "".join(shown) + '"'
