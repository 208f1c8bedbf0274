"""Watches over etcd's v3 JSON gateway, seen from a client: requests to bodies, lines to answers.

A stream is one POST; its body holds the requests, each line of its answer one response.
HTTP/1.1 lets a server stop to read once it has begun to answer, so that everything asked
for stands in the body at once, and a stream holds one watch.

Source: etcd's documentation of the gRPC gateway, `rpc.proto`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from splitbrain.harness.clients.http_connection import ConnectionLost
from splitbrain.harness.clients.json_codec import to_bytes, to_text
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change
from splitbrain.histories.watch import WatchRequest

WATCH = "/v3/watch"


class WatchAnswer(msgspec.Struct, frozen=True):
    """One response of a stream. Neither created nor cancelled nor with events: progress."""

    revision: int
    created: bool = False
    cancelled: bool = False
    compact_revision: int = 0
    reason: str = ""
    fragment: bool = False
    changes: tuple[Change, ...] = ()
    previous: tuple[KeyValue | None, ...] = ()


def encode_watch(request: WatchRequest) -> bytes:
    """The body that asks for it."""
    filters = [name for name, wanted in
               (("NOPUT", request.no_put), ("NODELETE", request.no_delete)) if wanted]
    create: dict[str, Any] = {
        "key": to_bytes(request.key),
        "range_end": to_bytes(request.range_end),
        "start_revision": str(request.start_revision) if request.start_revision else "",
        "prev_kv": request.prev_kv,
        "progress_notify": request.progress_notify,
        "fragment": request.fragment,
        "filters": filters,
    }
    create = {name: value for name, value in create.items() if value}
    body = msgspec.json.encode({"create_request": create})
    if request.ask_progress:
        body += b'{"progress_request":{}}'
    return body


class _Header(msgspec.Struct):
    revision: int = 0


class _KeyValue(msgspec.Struct):
    key: bytes = b""
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class _Event(msgspec.Struct):
    type: str = "PUT"
    kv: _KeyValue = msgspec.field(default_factory=_KeyValue)
    prev_kv: _KeyValue | None = None


class _Result(msgspec.Struct):
    header: _Header = msgspec.field(default_factory=_Header)
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    fragment: bool = False
    events: list[_Event] = []


class _Error(msgspec.Struct):
    message: str = ""


class _Line(msgspec.Struct):
    result: _Result | None = None
    error: _Error | None = None


_decoder = msgspec.json.Decoder(_Line, strict=False)


def decode_line(line: bytes) -> WatchAnswer:
    """Raises ConnectionLost where the line says that the stream failed, or says nothing
    that can be understood."""
    try:
        told = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise ConnectionLost(f"not a line of a watch: {problem}: {line[:120]!r}") from problem
    if told.result is None:
        said = told.error.message if told.error is not None else repr(line[:120])
        raise ConnectionLost(f"the stream failed: {said}")
    result = told.result
    events = result.events
    previous: tuple[KeyValue | None, ...] = ()
    if any(event.prev_kv is not None for event in events):
        previous = tuple(_previous(event.prev_kv) for event in events)
    return WatchAnswer(
        revision=result.header.revision,
        created=result.created,
        cancelled=result.canceled,
        compact_revision=result.compact_revision,
        reason=result.cancel_reason,
        fragment=result.fragment,
        changes=tuple(_change(event) for event in events),
        previous=previous,
    )


def _change(event: _Event) -> Change:
    kv = event.kv
    return Change(
        revision=kv.mod_revision,
        kind="delete" if event.type == "DELETE" else "put",
        key=to_text(kv.key),
        value=to_text(kv.value),
        create_revision=kv.create_revision,
        version=kv.version,
        lease=kv.lease,
    )


def _previous(kv: _KeyValue | None) -> KeyValue | None:
    if kv is None:
        return None
    return KeyValue(
        to_text(kv.key), to_text(kv.value), kv.create_revision, kv.mod_revision, kv.version,
        kv.lease,
    )
