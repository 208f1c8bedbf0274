"""Parses JSON like Go's encoding/json, with the same error messages.

etcd's gateway answers a malformed request with the error of Go's decoder in the body. This parser
must therefore fail at the same byte with the same message. It is slow, so the member uses it only
for requests that msgspec does not accept (`splitbrain.node.api.json_codec`).

A *raw* value is the part of the body that contains one JSON value, like Go's `json.RawMessage`. A
raw value is converted when the type of its field is known.

Source: Go 1.16, `encoding/json/scanner.go`, `decode.go`, `encoding/base64`; compared with etcd
3.5.1, which is built with Go 1.16.
"""

from __future__ import annotations

import re

# The maximal nesting depth of Go's scanner.
DEPTH_MAX = 10_000

_SPACE = re.compile(rb"[ \t\r\n]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_DIGITS = re.compile(rb"[0-9]*")
_HEX = b"0123456789abcdefABCDEF"
_ESCAPES = b'bfnrt\\/"'
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64_VALUE = {character: value for value, character in enumerate(_BASE64)}


class GoJsonError(ValueError):
    """Invalid JSON, with Go's error message."""


class Incomplete(GoJsonError):
    """The text ends inside a JSON value. More bytes may complete the value."""

    def __init__(self) -> None:
        super().__init__("unexpected EOF")


def _quote_character(character: int) -> str:
    if character == ord("'"):
        return r"'\''"
    if character == ord('"'):
        return "'\"'"
    return "'" + quote(chr(character).encode())[1:-1] + "'"


def _invalid(character: int, where: str) -> GoJsonError:
    return GoJsonError(f"invalid character {_quote_character(character)} {where}")


def quote(text: bytes) -> str:
    """Return `text` as a Go string literal, as `%q` prints it."""
    out = ['"']
    for character in text.decode("utf-8", "surrogateescape"):
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif character in _QUOTE_ESCAPES:
            out.append(_QUOTE_ESCAPES[character])
        elif character.isprintable():
            out.append(character)
        elif code < 0x20:
            out.append(f"\\x{code:02x}")
        elif code < 0x10000:
            out.append(f"\\u{code:04x}")
        else:
            out.append(f"\\U{code:08x}")
    out.append('"')
    return "".join(out)


_QUOTE_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


# --- scanning ------------------------------------------------------------------


def _skip(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    assert match is not None  # every pattern here also matches the empty text
    return match.end()


def _character(data: bytes, at: int) -> int:
    if at >= len(data):
        raise Incomplete
    return data[at]


def _string_end(data: bytes, at: int) -> int:
    """Return the offset of the first byte after the string whose opening quote is at `at`."""
    at += 1
    while True:
        at = _skip(_PLAIN, data, at)
        character = _character(data, at)
        at += 1
        if character == ord('"'):
            return at
        if character != ord("\\"):
            raise _invalid(character, "in string literal")
        character = _character(data, at)
        at += 1
        if character == ord("u"):
            for _ in range(4):
                character = _character(data, at)
                if character not in _HEX:
                    raise _invalid(character, "in \\u hexadecimal character escape")
                at += 1
        elif character not in _ESCAPES:
            raise _invalid(character, "in string escape code")


def _digits_end(data: bytes, at: int, where: str) -> int:
    character = _character(data, at)
    if not ord("0") <= character <= ord("9"):
        raise _invalid(character, where)
    return _skip(_DIGITS, data, at)


def _number_end(data: bytes, at: int) -> int:
    if data[at] == ord("-"):
        at += 1
        character = _character(data, at)
        if not ord("0") <= character <= ord("9"):
            raise _invalid(character, "in numeric literal")
    # A number starts with 0 only if its integer part is 0.
    at = at + 1 if data[at] == ord("0") else _skip(_DIGITS, data, at)
    if data[at : at + 1] == b".":
        at = _digits_end(data, at + 1, "after decimal point in numeric literal")
    if data[at : at + 1] in (b"e", b"E"):
        at += 1
        if _character(data, at) in b"+-":
            at += 1
        at = _digits_end(data, at, "in exponent of numeric literal")
    return at


def _literal_end(data: bytes, at: int, literal: bytes) -> int:
    for expected in literal:
        character = _character(data, at)
        if character != expected:
            name = literal.decode()
            raise _invalid(character, f"in literal {name} (expecting {chr(expected)!r})")
        at += 1
    return at


def _scalar_end(data: bytes, at: int) -> int:
    character = data[at]
    if character == ord('"'):
        return _string_end(data, at)
    if character == ord("-") or ord("0") <= character <= ord("9"):
        return _number_end(data, at)
    literal = _LITERALS.get(character)
    if literal is None:
        raise _invalid(character, "looking for beginning of value")
    return _literal_end(data, at, literal)


def _key_end(data: bytes, at: int) -> int:
    """Return the offset of the first byte after an object's key and the colon that follows it.

    There may be spaces between `at` and the key. Raises GoJsonError if no key follows.
    """
    at = _skip(_SPACE, data, at)
    character = _character(data, at)
    if character != ord('"'):
        raise _invalid(character, "looking for beginning of object key string")
    at = _skip(_SPACE, data, _string_end(data, at))
    character = _character(data, at)
    if character != ord(":"):
        raise _invalid(character, "after object key")
    return at + 1


def value_end(data: bytes, at: int) -> int:
    """Return the offset of the first byte after the value at `at`.

    There may be spaces between `at` and the value. Raises the GoJsonError that Go's scanner would
    return. Raises `Incomplete` if the text ends before the value does.
    """
    closers = bytearray()  # the closing brackets of the open arrays and objects
    while True:
        at = _skip(_SPACE, data, at)
        character = _character(data, at)
        if character in b"{[":
            if len(closers) >= DEPTH_MAX:
                raise _invalid(character, "exceeded max depth")
            closer = ord("}") if character == ord("{") else ord("]")
            at = _skip(_SPACE, data, at + 1)
            if _character(data, at) == closer:
                at += 1
            else:
                closers.append(closer)
                if closer == ord("}"):
                    at = _key_end(data, at)
                continue
        else:
            at = _scalar_end(data, at)
        while closers:
            at = _skip(_SPACE, data, at)
            character = _character(data, at)
            at += 1
            if character == closers[-1]:
                closers.pop()
                continue
            if character == ord(","):
                if closers[-1] == ord("}"):
                    at = _key_end(data, at)
                break
            where = "object key:value pair" if closers[-1] == ord("}") else "array element"
            raise _invalid(character, f"after {where}")
        else:
            return at


def first_value(data: bytes, at: int = 0) -> tuple[int, int] | None:
    """Return where the first value at or after `at` begins and ends, or None if none follows.

    The result is a pair of offsets. The text after the value is not checked, as in Go's
    `json.Decoder`.
    """
    at = _skip(_SPACE, data, at)
    if at >= len(data):
        return None
    return at, value_end(data, at)


def whole_value(data: bytes) -> bytes:
    """Return the only JSON value in `data`, as a raw value.

    Raises GoJsonError where Go's `json.Unmarshal` returns an error, for example for text after the
    value.
    """
    start = _skip(_SPACE, data, 0)
    try:
        # Go signals the end of the text to its scanner by a space, which ends a number.
        end = value_end(data + b" ", start) if data else value_end(data, start)
    except Incomplete:
        raise GoJsonError("unexpected end of JSON input") from None
    rest = _skip(_SPACE, data, min(end, len(data)))
    if rest < len(data):
        raise _invalid(data[rest], "after top-level value")
    return data[start:end]


# --- typed access to raw values ------------------------------------------------


def kind(raw: bytes) -> str:
    """Return Go's name for the type of a raw value, such as "string", for error messages."""
    first = raw[0]
    if first in b"tf":
        return "bool"
    return {ord("{"): "object", ord("["): "array", ord('"'): "string", ord("n"): "null"}.get(
        first, "number"
    )


def type_error(raw: bytes, go_type: str, *, literal: bool = False) -> GoJsonError:
    """Return Go's error for a raw value that cannot be stored in the type `go_type`.

    With `literal`, the raw value is a number that does not fit the type, and the message quotes it.
    """
    value = kind(raw)
    if literal and value == "number":
        value += " " + raw.decode()
    return GoJsonError(f"json: cannot unmarshal {value} into Go value of type {go_type}")


def unquote(raw: bytes) -> bytes:
    """Decode a JSON string to its bytes. Invalid UTF-8 and lone surrogates become U+FFFD."""
    text = raw[1:-1].decode("utf-8", "replace")
    if "\\" in text:
        text = _ESCAPE_SEQUENCE.sub(_unescape, text)
    return text.encode("utf-8", "replace")


_ESCAPE_SEQUENCE = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\(.)"
)
_UNESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _unescape(match: re.Match[str]) -> str:
    high, low, single, simple = match.groups()
    if high is not None:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00))
    if single is not None:
        code = int(single, 16)
        return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)
    return _UNESCAPED.get(simple, simple)


def members(raw: bytes) -> dict[str, bytes]:
    """Return the raw values of an object by their keys.

    If a key occurs twice, its last value is used. Raises GoJsonError if the raw value is not an
    object.
    """
    if kind(raw) != "object":
        raise type_error(raw, "map[string]json.RawMessage")
    found: dict[str, bytes] = {}
    at = _skip(_SPACE, raw, 1)
    while raw[at] != ord("}"):
        if raw[at] == ord(","):
            at = _skip(_SPACE, raw, at + 1)
        key_end = _string_end(raw, at)
        name = unquote(raw[at:key_end]).decode("utf-8", "replace")
        at = _skip(_SPACE, raw, _skip(_SPACE, raw, key_end) + 1)
        end = value_end(raw, at)
        found[name] = raw[at:end]
        at = _skip(_SPACE, raw, end)
    return found


def elements(raw: bytes, go_type: str = "[]json.RawMessage") -> list[bytes]:
    """Return the raw elements of an array.

    Raises GoJsonError if the raw value is not an array. The error's message names `go_type`.
    """
    if kind(raw) != "array":
        raise type_error(raw, go_type)
    found: list[bytes] = []
    at = _skip(_SPACE, raw, 1)
    while raw[at] != ord("]"):
        if raw[at] == ord(","):
            at = _skip(_SPACE, raw, at + 1)
        end = value_end(raw, at)
        found.append(raw[at:end])
        at = _skip(_SPACE, raw, end)
    return found


def boolean(raw: bytes) -> bool:
    """Convert a raw value to a bool. Raises GoJsonError if it is of another type."""
    if raw not in (b"true", b"false", b"null"):
        raise type_error(raw, "bool")
    return raw == b"true"


def integer(raw: bytes, go_type: str, low: int, high: int) -> int:
    """Convert a raw value to an int.

    Raises GoJsonError if it is no integer from `low` to `high`. The error's message names
    `go_type`.
    """
    if raw == b"null":
        return 0
    if kind(raw) != "number":
        raise type_error(raw, go_type)
    if any(character in b".eE" for character in raw):
        raise type_error(raw, go_type, literal=True)
    # A longer text cannot fit into the type, and int() of a very long text is slow.
    number = int(raw) if len(raw) <= 20 else high + 1
    if not low <= number <= high:
        raise type_error(raw, go_type, literal=True)
    return number


def byte_string(raw: bytes) -> bytes:
    """Convert a raw value to bytes.

    As in Go, the value is a base64 string or an array of numbers.
    """
    value = kind(raw)
    if value == "string":
        return base64_decode(unquote(raw))
    if value == "array":
        return bytes(integer(element, "uint8", 0, 255) for element in elements(raw))
    if value == "null":
        return b""
    raise type_error(raw, "[]uint8")


def base64_decode(text: bytes) -> bytes:
    """Decode padded base64 with the standard alphabet.

    Line ends are skipped, and the unused bits of the last character are ignored.
    """
    out = bytearray()
    at = 0
    while True:
        quantum: list[int] = []
        while len(quantum) < 4:
            if at == len(text):
                if not quantum:
                    return bytes(out)
                raise _corrupt(at - len(quantum))
            character = text[at]
            at += 1
            value = _BASE64_VALUE.get(character)
            if value is not None:
                quantum.append(value)
            elif character == ord("="):
                _check_padding(text, at, len(quantum))
                break
            elif character not in b"\r\n":
                raise _corrupt(at - 1)
        bits = 0
        for value in quantum:
            bits = bits << 6 | value
        bits <<= 6 * (4 - len(quantum))
        out += bits.to_bytes(3, "big")[: len(quantum) * 6 // 8]
        if len(quantum) < 4:
            return bytes(out)


def _check_padding(text: bytes, at: int, characters: int) -> None:
    """Raise GoJsonError unless the padding of a base64 text is complete and the text ends after it.

    `at` is the offset after the first "=". `characters` is the number of characters before the "="
    in the last group of four.
    """
    if characters < 2:
        raise _corrupt(at - 1)
    if characters == 2:
        at = _skip(_LINE_ENDS, text, at)
        if at == len(text):
            raise _corrupt(len(text))
        if text[at] != ord("="):
            raise _corrupt(at - 1)
        at += 1
    at = _skip(_LINE_ENDS, text, at)
    if at < len(text):
        raise _corrupt(at)


_LINE_ENDS = re.compile(rb"[\r\n]*")


def _corrupt(at: int) -> GoJsonError:
    return GoJsonError(f"illegal base64 data at input byte {at}")
