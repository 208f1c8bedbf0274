"""`splitbrain node`: a restored cluster of three members starts, serves and stops."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import requests

from splitbrain.harness.systems.etcd_like.standalone_cluster import PORTS_APART
from splitbrain.node.storage.backup_file import encode_backup
from tests.conformance.server_pair import encoded
from tests.unit.storage.stored_keys import backend_with

pytestmark = pytest.mark.cluster

COMMAND = [sys.executable, "-c", "from splitbrain.harness.cli.main import main; main()", "node"]
PATIENCE_S = 60.0


def free_ports() -> int:
    """A port for clients such that the ports of all three members are free.

    The processes of pytest-xdist search in different places, because a port stays free until the
    cluster has started.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for first in (21_000 + (place + worker * 1_700) % 10_000 for place in range(0, 10_000, 100)):
        try:
            for port in range(first, first + 3 * PORTS_APART, PORTS_APART):
                for one in (port, port + 1):
                    with socket.socket() as listener:
                        listener.bind(("127.0.0.1", one))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def value_at(url: str) -> bool:
    """Whether the member answers a linearizable read of the restored key."""
    try:
        answer = requests.post(f"{url}/v3/kv/range", json={"key": encoded(b"kept")}, timeout=5)
    except requests.ConnectionError:
        return False
    return answer.status_code == 200 and answer.json()["kvs"][0]["value"] == encoded(b"value")


def read_until(running: subprocess.Popen[str], words: str) -> str:
    """Return the next line of the output that contains `words`."""
    assert running.stdout is not None
    for line in running.stdout:
        if words in line:
            return line
    raise AssertionError(f"the output ended without {words!r}")


def is_taken(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def test_three_members_are_restored_and_started_by_one_command(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    backup.write_bytes(encode_backup(backend_with({b"kept": b"value"})))
    first = free_ports()
    names = ["n1", "n2", "n3"]
    cluster = ",".join(
        f"{name}=http://127.0.0.1:{first + PORTS_APART * at + 1}" for at, name in enumerate(names)
    )
    for name in names:
        data = tmp_path / name / "data"
        subprocess.run(
            [*COMMAND, "restore", str(backup), "--name", name, "--data-dir", str(data),
             "--initial-cluster", cluster],
            check=True, capture_output=True,
        )  # fmt: skip
    ports = [first + PORTS_APART * at + peer for at in range(3) for peer in (0, 1)]
    running = subprocess.Popen(
        [*COMMAND, "cluster", "--data-dir", str(tmp_path), "--client-port", str(first)],
        stdout=subprocess.PIPE, text=True,
    )
    try:
        urls = [f"http://127.0.0.1:{first + PORTS_APART * at}" for at in range(3)]
        deadline = time.monotonic() + PATIENCE_S
        while not all(value_at(url) for url in urls):
            if running.poll() is not None and any(map(is_taken, ports)):
                pytest.skip("another program took a port between its choice and its use")
            assert running.poll() is None
            assert time.monotonic() < deadline, (tmp_path / "n1" / "log").read_text()
            time.sleep(0.1)
        put = {"key": encoded(b"kept"), "value": encoded(b"new")}
        assert requests.post(f"{urls[2]}/v3/kv/put", json=put, timeout=10).status_code == 200
        read_until(running, "etcdctl --endpoints")
        (third,) = [
            one for one in psutil.Process(running.pid).children() if "n3" in one.cmdline()
        ]
        third.kill()
        read_until(running, "n3 ended by itself with")
        again = shlex.split(read_until(running, "--name n3 "))
        restarted = subprocess.Popen(again, stderr=subprocess.DEVNULL)
        try:
            put["value"] = encoded(b"value")
            # The member that was killed may have been the leader.
            while requests.post(f"{urls[0]}/v3/kv/put", json=put, timeout=10).status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            while not value_at(urls[2]):
                assert restarted.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            restarted.kill()
            restarted.wait()
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(PATIENCE_S)
    assert running.returncode == 0


def test_a_cluster_fails_when_its_last_member_has_ended(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*COMMAND, "cluster", "--members", "1", "--data-dir", str(tmp_path),
         "--client-port", str(free_ports())],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        read_until(running, "members: n1")
        (member,) = psutil.Process(running.pid).children()
        member.kill()
        _, errors = running.communicate(timeout=PATIENCE_S)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 255
    assert "n1 ended by itself with" in errors


def test_a_cluster_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    first = free_ports()
    running = subprocess.Popen(
        [*COMMAND, "cluster", "--members", "1", "--data-dir", str(tmp_path),
         "--client-port", str(first)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        assert "members: n1; data and logs in" in running.stdout.readline()
        (member,) = psutil.Process(running.pid).children()
    finally:
        running.kill()
        running.wait(PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while member.is_running() and member.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
