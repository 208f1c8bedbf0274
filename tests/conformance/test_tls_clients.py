"""Clients that others wrote can use a member with TLS and with clients' certificates."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from splitbrain.harness.systems.tls.certificates import Authority, KeyPair
from tests.conformance.server_pair import etcd_binary, free_port

pytestmark = pytest.mark.cluster
START_S = 30
PATIENCE_S = 30


@dataclass
class Member:
    url: str
    authority: Authority
    alice: KeyPair
    root: KeyPair
    log: Path

    def is_healthy(self) -> bool:
        """Whether the member serves clients and knows a leader."""
        identity = (str(self.alice.cert), str(self.alice.key))
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.get(
                    f"{self.url}/health", verify=str(self.authority.cert), cert=identity, timeout=2
                )
            except requests.exceptions.RequestException:
                return False
            return answer.status_code == 200

    def etcdctl(self, *arguments: str, client: KeyPair | None = None) -> str:
        program = etcd_binary()
        assert program is not None
        identity = [f"--cert={client.cert}", f"--key={client.key}"] if client else []
        done = subprocess.run(
            [
                Path(program).with_name("etcdctl"), f"--endpoints={self.url}",
                f"--cacert={self.authority.cert}", *identity, "--command-timeout=2s",
                "--dial-timeout=2s", *arguments,
            ],
            text=True, capture_output=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    pair = authority.issue("member")
    url, peer_url = (f"https://127.0.0.1:{free_port()}" for _ in range(2))
    flags = {
        "--name": "solo", "--data-dir": folder / "data", "--initial-cluster": f"solo={peer_url}",
        "--listen-peer-urls": peer_url, "--listen-client-urls": url, "--password-cost": 1,
        "--cert-file": pair.cert, "--key-file": pair.key, "--trusted-ca-file": authority.cert,
    }  # fmt: skip
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "splitbrain.node", "--client-cert-auth", "--peer-auto-tls",
                *(str(part) for flag in flags.items() for part in flag),
            ],
            stderr=out,
        )  # fmt: skip
    found = Member(url, authority, authority.issue("alice"), authority.issue("root"), log)
    try:
        deadline = time.monotonic() + START_S
        while not found.is_healthy():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield found
    finally:
        process.kill()
        process.wait()


def test_requests_puts_and_reads_over_https(member: Member) -> None:
    ours = requests.Session()
    ours.trust_env = False  # the environment could replace the authority
    ours.verify = str(member.authority.cert)
    ours.cert = (str(member.alice.cert), str(member.alice.key))
    key = base64.b64encode(b"json").decode()
    assert ours.post(f"{member.url}/v3/kv/put", json={"key": key, "value": key}).status_code == 200
    answer = ours.post(f"{member.url}/v3/kv/range", json={"key": key}).json()
    assert answer["kvs"][0]["value"] == key
    with pytest.raises(requests.exceptions.RequestException):
        requests.post(f"{member.url}/v3/kv/put", json={}, verify=ours.verify)
    ours.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        ours.post(f"{member.url}/v3/kv/put", json={})


@pytest.mark.etcd
@pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`")
def test_the_common_name_of_a_certificate_is_a_user_of_etcdctl(member: Member) -> None:
    root, alice = member.root, member.alice
    assert member.etcdctl("put", "a", "1", client=alice) == "OK\n"
    assert "deadline exceeded" in member.etcdctl("put", "a", "1")
    watch = member.etcdctl("get", "a", "--print-value-only", client=alice)
    assert watch == "1\n"
    for words in (
        "user add root:secret", "user grant-role root root", "user add alice --no-password",
        "role add letters", "role grant-permission letters readwrite a b",
        "user grant-role alice letters", "auth enable",
    ):  # fmt: skip
        assert not member.etcdctl(*words.split(), client=root).startswith("failed"), words
    try:
        assert member.etcdctl("put", "a", "2", client=alice) == "OK\n"
        assert "permission denied" in member.etcdctl("put", "z", "2", client=alice)
        assert "permission denied" in member.etcdctl("user", "list", client=alice)
        assert member.etcdctl("put", "z", "2", client=root) == "OK\n"
        by_password = member.etcdctl("put", "z", "3", "--user=root:secret", client=alice)
        assert by_password == "OK\n"
    finally:
        assert "Disabled" in member.etcdctl("auth", "disable", client=root)
