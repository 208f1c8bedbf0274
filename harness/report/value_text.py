"""Requests and answers as a person writes them down: `put r1=40`, `rev 57`.

Values of a history are of whoever made the workload: those of a key-value store
get its notation, all others stand as JSON. All of it is untrusted text.
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
    """The request that the JSON `value` of an `invoke` holds."""
    try:
        return clip(_request(_requests.decode(value)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return json_text(value)


def answer_text(value: bytes) -> str:
    """The answer that the JSON `value` of an `ok` holds."""
    try:
        return clip(_result(_results.decode(value)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return json_text(value)


def keys_of(value: bytes) -> tuple[str, ...]:
    """The keys that a request names, in its order; () for a request of another kind."""
    try:
        return tuple(dict.fromkeys(_keys(_requests.decode(value))))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()


class _Headed(msgspec.Struct):
    header: Header = Header()


_headed = msgspec.json.Decoder(_Headed)


def revision_of(value: bytes) -> int:
    """The revision that an answer's header tells; 0 if none."""
    try:
        return _headed.decode(value).header.revision
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0


def answered_write(request: bytes, answer: bytes) -> bool:
    """Whether an answered operation made a revision, as far as its answer tells."""
    if b'"op":"range"' in request[:40]:
        return False
    try:
        asked, told = _requests.decode(request), _results.decode(answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    match asked, told:
        case Txn(), TxnResult():
            return any(writes(op) for op in (asked.success if told.succeeded else asked.failure))
        case _, DeleteResult():
            return told.deleted > 0
    return isinstance(asked, Put)


def json_text(value: bytes) -> str:
    return "" if value in (b"", b"null") else clip(bytes(value).decode("utf-8", "replace"))


def clip(text: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """`text` without what no page can show, and no longer than `characters_max`."""
    shown = clean(text[: characters_max + 1])
    return shown if len(shown) <= characters_max else shown[: characters_max - 1] + "…"


def clean(text: str) -> str:
    """Control characters (but newline and tab) and lone surrogates made visible."""
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
    if request.sort_by:
        words.append(f"by {request.sort_by}" + (" downwards" if request.descend else ""))
    for asked, word in (
        (request.serializable, "serializable"),
        (request.keys_only, "keys only"),
        (request.count_only, "count only"),
    ):
        if asked:
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
    said = _said(result)
    revision = f"rev {result.header.revision}" if result.header.revision else ""
    return ", ".join(part for part in (said, revision) if part) or "done"


def _said(result: Any) -> str:
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
            inner = "; ".join(said for op in result.responses if (said := _said(op)))
            return ("then" if result.succeeded else "else") + (f": {inner}" if inner else "")
        case CompactResult():
            return "compacted"
    return ""


def _pair(kv: KeyValue) -> str:
    return f"{kv.key}={kv.value}" + (f" (mod {kv.mod_revision})" if kv.mod_revision else "")
