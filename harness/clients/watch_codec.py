"""Encodes watches for etcd's v3 JSON gateway, and decodes the lines of their answers.

A stream is one POST for one watch. The body of the POST contains the requests, and each line of the
answer contains one response. The whole body is sent at the start, because HTTP/1.1 allows a server
to stop reading once it has begun to answer.

Source: etcd's documentation of the gRPC gateway, `rpc.proto`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from splitbrain.harness.clients.http_connection import ConnectionLost
from splitbrain.harness.clients.messages import (
    WatchLine,
    history_change,
    history_key_value,
    to_bytes,
)
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change
from splitbrain.histories.watch import WatchRequest

WATCH = "/v3/watch"


class WatchAnswer(msgspec.Struct, frozen=True):
    """One response of a watch stream.

    If `created` and `cancelled` are False and `changes` is empty, the response only reports the
    progress of the stream. `previous` contains for each of `changes` the key-value before the
    change. It is empty if the member sent no previous key-value.
    """

    revision: int
    created: bool = False
    cancelled: bool = False
    compact_revision: int = 0
    reason: str = ""
    fragment: bool = False
    changes: tuple[Change, ...] = ()
    previous: tuple[KeyValue | None, ...] = ()


def encode_watch(request: WatchRequest) -> bytes:
    """The body of the POST that opens the watch `request`."""
    filters = [name for name, is_set in
               (("NOPUT", request.no_put), ("NODELETE", request.no_delete)) if is_set]
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


_decoder = msgspec.json.Decoder(WatchLine, strict=False)


def decode_line(line: bytes) -> WatchAnswer:
    """Decode one line. Raises ConnectionLost if the line reports that the stream failed, or if
    it cannot be decoded."""
    try:
        decoded = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise ConnectionLost(f"not a line of a watch: {problem}: {line[:120]!r}") from problem
    if decoded.result is None:
        message = decoded.error.message if decoded.error is not None else repr(line[:120])
        raise ConnectionLost(f"the stream failed: {message}")
    result = decoded.result
    events = result.events
    previous: tuple[KeyValue | None, ...] = ()
    if any(event.prev_kv is not None for event in events):
        previous = tuple(
            None if event.prev_kv is None else history_key_value(event.prev_kv)
            for event in events
        )
    return WatchAnswer(
        revision=result.header.revision,
        created=result.created,
        cancelled=result.canceled,
        compact_revision=result.compact_revision,
        reason=result.cancel_reason,
        fragment=result.fragment,
        changes=tuple(history_change(event) for event in events),
        previous=previous,
    )
