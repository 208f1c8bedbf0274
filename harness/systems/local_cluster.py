"""A cluster of this project's own members on this machine, which runs until it is interrupted."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.process import python_env
from splitbrain.harness.systems.python_node import COMMAND

PORTS_APART = 10
STOP_GRACE_S = 10.0
POLL_S = 0.2


def run_local_cluster(
    count: int,
    folder: Path,
    client_port: int,
    flags: Sequence[str],
    show: Callable[[str], None],
) -> int:
    """Run `count` members until SIGINT or SIGTERM, then return 0.

    Member number k listens for clients at the port `client_port + 10 * (k - 1)`, and for peers at
    the next port. Raises SystemFailed if a member ends by itself.
    """
    ports = [client_port + PORTS_APART * number for number in range(count)]
    names = [f"n{number}" for number in range(1, count + 1)]
    peers = [f"http://127.0.0.1:{port + 1}" for port in ports]
    clients = [f"http://127.0.0.1:{port}" for port in ports]
    initial = ",".join(f"{name}={peer}" for name, peer in zip(names, peers, strict=True))
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with _stopped_by_signals():
        try:
            for name, peer, client in zip(names, peers, clients, strict=True):
                own = folder / name
                own.mkdir(parents=True, exist_ok=True)
                with (own / "log").open("ab") as log:
                    processes[name] = subprocess.Popen(
                        [
                            *COMMAND, "--name", name, "--data-dir", str(own / "data"),
                            "--initial-cluster", initial, "--listen-peer-urls", peer,
                            "--listen-client-urls", client, *flags,
                        ],
                        env=python_env(), stdout=log, stderr=log,
                    )  # fmt: skip
            show(f"members: {', '.join(names)}; data and logs in {folder}")
            show(f"etcdctl --endpoints={','.join(clients)} put key value")
            _wait_for_an_end(processes, folder)
        except KeyboardInterrupt:
            show("stopping")
        finally:
            _stop(list(processes.values()))
    return 0


def _wait_for_an_end(processes: dict[str, subprocess.Popen[bytes]], folder: Path) -> None:
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                raise SystemFailed(
                    f"{name} ended with exit code {process.returncode}; see {folder / name / 'log'}"
                )
        time.sleep(POLL_S)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
