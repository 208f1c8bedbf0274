"""Writes requests and answers in a short notation: `put r1=40`, `rev 57`.

The requests and answers of a key-value store are decoded for this. Any other value is shown as
JSON. All values are untrusted text.
"""

from __future__ import annotations

from typing import Any

import msgspec

from splitbrain.histories.kv import (
    Compact,
    CompactResult,
    Compare,
    Delete,
    DeleteResult,
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Request,
    Result,
    Txn,
    TxnResult,
    writes,
)

TEXT_CHARACTERS_MAX = 300

_requests = msgspec.json.Decoder(Request)
_results = msgspec.json.Decoder(Result)


def request_text(value: bytes) -> str:
    """Return a request in a short notation, such as `put r1=40`.

    `value` is the JSON value of an `invoke`.
    """
    try:
        return clip(_request(_requests.decode(value)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return json_text(value)


def answer_text(value: bytes) -> str:
    """Return an answer in a short notation, such as `rev 57`.

    `value` is the JSON value of an `ok`.
    """
    try:
        return clip(_result(_results.decode(value)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return json_text(value)


def keys_of(value: bytes) -> tuple[str, ...]:
    """Return the keys that a request names, in their order.

    `value` is the JSON value of an `invoke`. Returns () if it is not a request of a key-value
    store.
    """
    try:
        return tuple(dict.fromkeys(_keys(_requests.decode(value))))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()


class _Headed(msgspec.Struct):
    header: Header = Header()


_headed = msgspec.json.Decoder(_Headed)


def revision_of(value: bytes) -> int:
    """Return the revision in the header of the answer `value`; 0 if there is none."""
    try:
        return _headed.decode(value).header.revision
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0


def answered_write(request: bytes, answer: bytes) -> bool:
    """Return whether an operation with outcome `ok` made a revision.

    The function decides this from the answer.
    """
    if b'"op":"range"' in request[:40]:
        return False
    try:
        decoded, result = _requests.decode(request), _results.decode(answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    match decoded, result:
        case Txn(), TxnResult():
            branch = decoded.success if result.succeeded else decoded.failure
            return any(writes(op) for op in branch)
        case _, DeleteResult():
            return result.deleted > 0
    return isinstance(decoded, Put)


def json_text(value: bytes) -> str:
    """Return the JSON `value` as text; "" for null."""
    return "" if value in (b"", b"null") else clip(bytes(value).decode("utf-8", "replace"))


def clip(text: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """Make `text` printable with `clean`, and cut it to `characters_max` characters."""
    shown = clean(text[: characters_max + 1])
    return shown if len(shown) <= characters_max else shown[: characters_max - 1] + "…"


def clean(text: str) -> str:
    """Replace lone surrogates and control characters in `text` by escapes.

    Newlines and tabs remain.
    """
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    point = ord(character)
    if character in "\n\t" or not (point < 32 or 127 <= point < 160 or 0xD800 <= point < 0xE000):
        return character
    return f"\\x{point:02x}" if point < 256 else f"\\u{point:04x}"


# --- requests -----------------------------------------------------------------


def _request(request: Request) -> str:
    match request:
        case Put():
            lease = f" lease {request.lease}" if request.lease else ""
            if request.ignore_lease:
                lease = " ignore lease"
            if request.ignore_value:
                return f"put {request.key}{lease} ignore value"
            return f"put {request.key}={request.value}{lease}"
        case Range():
            return _range(request)
        case Delete():
            return f"delete {_interval(request.key, request.range_end)}"
        case Compact():
            return f"compact to {request.revision}"
        case Txn():
            return _txn(request)


def _range(request: Range) -> str:
    words = ["range" if request.range_end else "get", _interval(request.key, request.range_end)]
    if request.revision:
        words.append(f"at revision {request.revision}")
    if request.limit:
        words.append(f"limit {request.limit}")
    for name, sign, bound in (
        ("mod", "≥", request.min_mod), ("mod", "≤", request.max_mod),
        ("create", "≥", request.min_create), ("create", "≤", request.max_create),
    ):
        if bound:
            words.append(f"{name} revision {sign} {bound}")
    if request.sort_by:
        words.append(f"by {request.sort_by}" + (" descending" if request.descend else ""))
    for is_set, word in (
        (request.serializable, "serializable"),
        (request.keys_only, "keys only"),
        (request.count_only, "count only"),
    ):
        if is_set:
            words.append(word)
    return " ".join(words)


def _interval(key: str, range_end: str) -> str:
    if not range_end:
        return key
    return f"[{key}, ∞)" if range_end == "\0" else f"[{key}, {range_end})"


def _txn(txn: Txn) -> str:
    words = []
    if txn.compare:
        words.append("if " + " and ".join(_compare(compare) for compare in txn.compare) + " then")
    words.append("; ".join(_request(op) for op in txn.success) or "nothing")
    if txn.failure:
        words.append("else " + "; ".join(_request(op) for op in txn.failure))
    return " ".join(words)


def _compare(compare: Compare) -> str:
    key = _interval(compare.key, compare.range_end)
    name = key if compare.target == "value" else f"{compare.target}({key})"
    return f"{name}{compare.result}{compare.operand}"


def _keys(request: Request) -> list[str]:
    match request:
        case Put() | Range() | Delete():
            return [request.key]
        case Txn():
            inner = [key for op in (*request.success, *request.failure) for key in _keys(op)]
            return [*(compare.key for compare in request.compare), *inner]
        case Compact():
            return []


# --- answers ------------------------------------------------------------------


def _result(result: Result) -> str:
    content = _content(result)
    revision = f"rev {result.header.revision}" if result.header.revision else ""
    return ", ".join(part for part in (content, revision) if part) or "done"


def _content(result: Any) -> str:
    match result:
        case PutResult():
            return f"was {_pair(result.prev_kv)}" if result.prev_kv else ""
        case RangeResult():
            pairs = "; ".join(_pair(kv) for kv in result.kvs)
            beyond = f" of {result.count}" if result.more else ""
            return (pairs or (f"count {result.count}" if result.count else "no key")) + beyond
        case DeleteResult():
            return f"deleted {result.deleted}"
        case TxnResult():
            inner = "; ".join(text for op in result.responses if (text := _content(op)))
            return ("then" if result.succeeded else "else") + (f": {inner}" if inner else "")
        case CompactResult():
            return "compacted"
    return ""


def _pair(kv: KeyValue) -> str:
    return f"{kv.key}={kv.value}" + (f" (mod {kv.mod_revision})" if kv.mod_revision else "")
