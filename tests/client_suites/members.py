"""Three members with the names and the addresses that the suites expect of etcd's cluster.

The suites address `localhost:2379`, expect members named pifpaf0 to pifpaf2, and stop the processes
whose command line contains `--name pifpaf1`. They therefore run in a network and a process
namespace of their own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

NAMES = ("pifpaf0", "pifpaf1", "pifpaf2")
CLIENT_PORT = 2379
START_S = 60
NAMESPACES = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
"""The prefix of a command that runs in namespaces of its own. It needs root privileges."""


def namespaces_unavailable() -> str | None:
    """Why a process cannot have namespaces of its own, or None if it can."""
    try:
        done = subprocess.run(
            [*NAMESPACES, "ip", "link", "set", "lo", "up"],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
    except FileNotFoundError as missing:
        return f"{missing.filename} is not installed"
    return None if done.returncode == 0 else done.stderr.strip() or "unshare failed"


def url(number: int) -> str:
    return f"http://127.0.0.1:{CLIENT_PORT + 10 * number}"


def peer_url(number: int) -> str:
    return f"http://127.0.0.1:{CLIENT_PORT + 10 * number + 1}"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    """Run the members while the context is open. Raises RuntimeError if they do not start."""
    peers = ",".join(f"{name}={peer_url(number)}" for number, name in enumerate(NAMES))
    processes = []
    try:
        for number, name in enumerate(NAMES):
            with (folder / f"{name}.log").open("wb") as log:
                processes.append(subprocess.Popen(
                    [
                        sys.executable, "-m", "splitbrain.node", "--name", name,
                        "--data-dir", str(folder / name), "--initial-cluster", peers,
                        "--listen-peer-urls", peer_url(number),
                        "--listen-client-urls", url(number),
                    ],
                    stdout=log, stderr=subprocess.STDOUT,
                ))  # fmt: skip
        _wait_until_healthy()
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def _wait_until_healthy() -> None:
    deadline = time.monotonic() + START_S
    for number in range(len(NAMES)):
        while not _is_healthy(number):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{NAMES[number]} is not healthy after {START_S} s")
            time.sleep(0.1)


def _is_healthy(number: int) -> bool:
    try:
        with urllib.request.urlopen(f"{url(number)}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def environment(etcdctl: Path) -> dict[str, str]:
    """The environment of a suite, which calls etcdctl by its name."""
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": f"{etcdctl.parent}:{os.environ['PATH']}",
        "TEST_ETCD_VERSION": "v3.5.1",
        # A test waits forever for a put that fails after 5 s, the default, on a loaded machine.
        "ETCDCTL_COMMAND_TIMEOUT": "60s",
        "PYTHON_ETCD_HTTP_URL": f"http://localhost:{CLIENT_PORT}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
