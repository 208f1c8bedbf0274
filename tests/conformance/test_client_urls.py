"""A member serves gRPC and HTTP at separate URLs, with a certificate that it has made itself."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.conformance.server_pair import etcd_binary, free_port

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.etcd,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`"),
]
PATIENCE_S = 30


def is_healthy(url: str, certificate: Path) -> bool:
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(f"{url}/health", verify=str(certificate), timeout=2)
        except (requests.exceptions.RequestException, OSError):
            return False
    return answer.status_code == 200


def etcdctl(url: str, certificate: Path | None, *arguments: str) -> str:
    program = etcd_binary()
    assert program is not None
    authority = [] if certificate is None else [f"--cacert={certificate}"]
    done = subprocess.run(
        [
            Path(program).with_name("etcdctl"), f"--endpoints={url}", *authority,
            "--command-timeout=2s", "--dial-timeout=2s", *arguments,
        ],
        text=True, capture_output=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"


def test_auto_tls_and_separate_urls_for_http(tmp_path: Path) -> None:
    grpc_url, http_url = (f"https://127.0.0.1:{free_port()}" for _ in range(2))
    peer_url = f"http://127.0.0.1:{free_port()}"
    certificate = tmp_path / "data" / "fixtures" / "client" / "cert.pem"
    command = [
        sys.executable, "-m", "splitbrain.node", "--name=n1", "--auto-tls",
        f"--data-dir={tmp_path / 'data'}", f"--initial-cluster=n1={peer_url}",
        f"--listen-peer-urls={peer_url}", f"--listen-client-urls={grpc_url}",
        f"--listen-client-http-urls={http_url}",
    ]  # fmt: skip
    member = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not is_healthy(http_url, certificate):
            assert member.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not is_healthy(grpc_url, certificate)
        assert etcdctl(grpc_url, certificate, "put", "a", "1") == "OK\n"
        assert etcdctl(http_url, certificate, "put", "a", "2").startswith("failed: ")
        plain = grpc_url.replace("https", "http")
        assert etcdctl(plain, None, "put", "a", "3").startswith("failed: ")
        assert etcdctl(grpc_url, certificate, "get", "a") == "a\n1\n"
    finally:
        member.terminate()
        assert member.wait(PATIENCE_S) == 0
