"""A campaign runs on a cluster of Dask that was started over SSH, on this machine.

The test starts its own sshd on loopback, with its own keys.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.store.campaign_folder import campaign_folder

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(shutil.which("sshd") is None, reason="needs sshd: openssh-server"),
    pytest.mark.skipif(find_spec("asyncssh") is None, reason="needs the package asyncssh"),
]

ROOT = Path(__file__).parents[2]
RUNS = 12
STARTED_WITHIN_S = 20


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def ssh_port(tmp_path: Path) -> Iterator[int]:
    """The port of an sshd that accepts the key `tmp_path/key` only."""
    for name in ("host", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True
        )
    port = free_port()
    (tmp_path / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path / 'host'}\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path / 'key.pub'}\nPidFile none\nPermitRootLogin yes\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    log = (tmp_path / "log").open("w")
    server = subprocess.Popen(
        [str(shutil.which("sshd")), "-D", "-e", "-f", str(tmp_path / "config")], stderr=log
    )
    try:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while time.monotonic() < deadline:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()


def test_a_campaign_runs_on_workers_that_were_started_over_ssh(
    tmp_path: Path, ssh_port: int
) -> None:
    from distributed import SSHCluster

    options = {"port": ssh_port, "known_hosts": None, "client_keys": [str(tmp_path / "key")]}
    with SSHCluster(
        ["127.0.0.1", "127.0.0.1", "127.0.0.1"], connect_options=options,
        worker_options={"nthreads": 1}, remote_python=f"env PYTHONPATH={ROOT} {sys.executable}",
        scheduler_options={"port": 0, "dashboard": False, "host": "127.0.0.1"},
    ) as cluster:  # fmt: skip
        arguments = [
            "campaign", "--runs", str(RUNS), "--campaign", "c", "--corpus", "none", "--shrink", "0",
            "--time-limit", "1", "--store", str(tmp_path / "store"), "--seed", "1",
            "--scheduler", cluster.scheduler_address,
        ]
        assert run_main(arguments) == 0
    assert sorted(campaign_folder(tmp_path / "store", "c").ended()) == list(range(1, RUNS + 1))
