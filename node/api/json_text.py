"""Writes the fields of JSON objects like golang/protobuf's jsonpb.

A function for a field returns "" if the field has its default value, because jsonpb omits such
fields.

Source: golang/protobuf 1.5.2, `jsonpb/encode.go`; Go's encoding/json for the escapes.
"""

from __future__ import annotations

import re
from binascii import b2a_base64

# Go's encoding/json escapes characters that are unsafe in HTML and in scripts.
_ESCAPED = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def base64(data: bytes) -> str:
    """Return `data` in base64, with padding."""
    return b2a_base64(data, newline=False).decode()


def text(content: str) -> str:
    """Return `content` as a JSON string, escaped as in Go."""
    return '"' + _ESCAPED.sub(_escape, content) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def object_of(*fields: str) -> str:
    """Join the texts of fields to a JSON object. Empty texts are left out."""
    return "{" + ",".join(field for field in fields if field) + "}"


def int64(name: str, number: int) -> str:
    """Return the field `name` with a 64-bit number, in quotes as in jsonpb. Returns "" for 0."""
    return f'"{name}":"{number}"' if number else ""


def flag(name: str, value: bool) -> str:
    """Return the field `name` with a bool. Returns "" for False."""
    return f'"{name}":true' if value else ""


def array(name: str, elements: list[str]) -> str:
    """Return the field `name` with an array of JSON texts. Returns "" for an empty list."""
    return f'"{name}":[{",".join(elements)}]' if elements else ""
