"""Encodes watches for etcd's v3 JSON gateway, and decodes the lines of their answers.

A connection is one POST for one or more watches. The body of the POST contains the requests, and
each line of the answer contains one response. The whole body is sent at the start, because HTTP/1.1
allows a server to stop reading once it has begun to answer.

Source: etcd's documentation of the gRPC gateway, `rpc.proto`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from splitbrain.harness.clients.http_connection import ConnectionLost
from splitbrain.harness.clients.json_messages import (
    WatchLine,
    WatchResult,
    history_change,
    history_key_value,
    to_bytes,
)
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change
from splitbrain.histories.watch import WatchRequest

WATCH = "/v3/watch"
NO_WATCH = -1
"""A watch id that is the id of no watch. An answer with this id is for all watches of a connection,
or refuses a watch."""


PROGRESS_REQUEST: Mapping[str, Any] = {"progress_request": {}}
"""The message that asks for the progress of all watches of a connection."""


class WatchAnswer(msgspec.Struct, frozen=True):
    """One response of a watch stream.

    If `created` and `cancelled` are False and `changes` is empty, the response only reports the
    progress of the stream. `previous` contains the key-value before each of `changes`. It is empty
    if the member sent no previous key-values.
    """

    revision: int
    watch_id: int = 0
    """The id that the member has given to the watch, or `NO_WATCH`."""
    created: bool = False
    cancelled: bool = False
    compact_revision: int = 0
    reason: str = ""
    fragment: bool = False
    changes: tuple[Change, ...] = ()
    previous: tuple[KeyValue | None, ...] = ()


def encode_watches(requests: Sequence[WatchRequest]) -> bytes:
    """Return the body of the POST that opens the watches `requests`."""
    messages = (*first_messages(requests), *later_messages(requests))
    return b"".join(map(msgspec.json.encode, messages))


def first_messages(requests: Sequence[WatchRequest]) -> list[Mapping[str, Any]]:
    """Return the fields of the messages that are sent when the connection opens.

    Each watch without `later_us` has one message, which creates it. The messages have the order of
    `requests`. If one of these watches has `ask_progress`, a progress request follows at the end.
    The form of the fields is that of `request_messages.py`.
    """
    first = [one for one in requests if not one.later_us]
    messages: list[Mapping[str, Any]] = [{"create_request": create_fields(one)} for one in first]
    if any(one.ask_progress for one in first):
        messages.append(PROGRESS_REQUEST)
    return messages


def later_messages(requests: Sequence[WatchRequest]) -> list[Mapping[str, Any]]:
    """Return the fields of the messages that are sent on the open connection after a while.

    The first messages cancel the watches with `cancel`. The next messages create the watches with
    `later_us`. If a watch with `later_us` has `ask_progress`, a progress request follows at the
    end. If no watch has `later_us`, the result is empty.
    """
    later = [one for one in requests if one.later_us]
    if not later:
        return []
    asks: list[Mapping[str, Any]] = []
    if any(one.ask_progress for one in later):
        asks = [PROGRESS_REQUEST]
    return [
        *({"cancel_request": {"watch_id": str(one.watch_id)}} for one in requests if one.cancel),
        *({"create_request": create_fields(one)} for one in later),
        *asks,
    ]


def create_fields(request: WatchRequest) -> dict[str, Any]:
    """Return the fields of the message that creates a watch.

    The form of the fields is that of `request_messages.py`.
    """
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
        "watch_id": str(request.watch_id) if request.watch_id else "",
    }
    return {name: value for name, value in create.items() if value}


class WatchPlaces:
    """Finds out to which watches of a connection an answer belongs.

    A member confirms the watches of a connection in the order of their requests, and gives each of
    them an id. `count` is the number of requests. Those with `later_us` are the last ones.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._created = 0
        self._places: dict[int, int] = {}
        self._cancelled: set[int] = set()

    def of(self, answer: WatchAnswer) -> Sequence[int]:
        """Return the positions of the requests to which `answer` belongs.

        Returns () if it belongs to none of them.
        """
        if answer.created:
            place = self._created
            self._created += 1
            if place >= self._count:
                return ()
            if answer.watch_id != NO_WATCH:
                self._places[answer.watch_id] = place
            return (place,)
        if answer.watch_id == NO_WATCH and not answer.changes:
            return tuple(self._places.values())
        place = self._places.get(answer.watch_id, -1)
        if answer.cancelled and place >= 0:
            del self._places[answer.watch_id]
            self._cancelled.add(answer.watch_id)
        return (place,) if place >= 0 else ()

    def is_cancelled_again(self, answer: WatchAnswer) -> bool:
        """Return whether `answer` confirms the cancellation of a watch that was already cancelled.

        A compaction can cancel a watch. If the client then requests to cancel it, etcd confirms
        that.
        """
        known = answer.watch_id in self._cancelled and answer.watch_id not in self._places
        return known and answer.cancelled and not answer.changes


_decoder = msgspec.json.Decoder(WatchLine, strict=False)


def decode_line(line: bytes) -> WatchAnswer:
    """Decode one line. Raises ConnectionLost if the stream failed or the line cannot be decoded."""
    try:
        decoded = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise ConnectionLost(f"not a line of a watch: {problem}: {line[:120]!r}") from problem
    if decoded.result is None:
        message = decoded.error.message if decoded.error is not None else repr(line[:120])
        raise ConnectionLost(f"the stream failed: {message}")
    return answer_of(decoded.result)


def answer_of(result: WatchResult) -> WatchAnswer:
    """Convert one response of a stream to a `WatchAnswer`."""
    events = result.events
    previous: tuple[KeyValue | None, ...] = ()
    if any(event.prev_kv is not None for event in events):
        previous = tuple(
            None if event.prev_kv is None else history_key_value(event.prev_kv)
            for event in events
        )
    return WatchAnswer(
        revision=result.header.revision,
        watch_id=result.watch_id,
        created=result.created,
        cancelled=result.canceled,
        compact_revision=result.compact_revision,
        reason=result.cancel_reason,
        fragment=result.fragment,
        changes=tuple(history_change(event) for event in events),
        previous=previous,
    )
