"""A cluster of this project's members on this machine, which runs until it is interrupted."""

from __future__ import annotations

import contextlib
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from splitbrain.harness.clients.tls import ClientTls
from splitbrain.harness.errors import BadArguments, SystemFailed
from splitbrain.harness.systems.etcd_like.python_node import COMMAND
from splitbrain.harness.systems.processes.member_process import log_tail, python_env
from splitbrain.harness.systems.processes.ports import HOST, PORT_MAX, is_free

if TYPE_CHECKING:
    from splitbrain.harness.systems.tls.certificates import ClusterCertificates

PORTS_APART = 10
START_S_MAX = 60.0
STOP_GRACE_S = 10.0
POLL_S = 0.2


def run_local_cluster(
    count: int,
    folder: Path,
    client_port: int,
    flags: Sequence[str],
    show: Callable[[str], None],
    *,
    tls: bool = False,
) -> int:
    """Run `count` members until SIGINT or SIGTERM. Then stop them and return 0.

    With `tls`, new certificates are created in the subfolder `tls` of `folder`. Member number k
    listens for clients at the port `client_port + 10 * (k - 1)`, and for peers at the next port.
    `show` is called with the endpoints when all members are healthy. Raises BadArguments if a port
    is in use or the folder cannot be created, and SystemFailed if a member does not start or ends
    by itself.
    """
    ports = [client_port + PORTS_APART * number for number in range(count)]
    _check_ports(ports)
    names = [f"n{number}" for number in range(1, count + 1)]
    scheme = "https" if tls else "http"
    peers = [f"{scheme}://127.0.0.1:{port + 1}" for port in ports]
    clients = [f"{scheme}://127.0.0.1:{port}" for port in ports]
    certificates = _certificates(folder / "tls") if tls else None
    tls_flags = () if certificates is None else certificates.flags()
    initial = ",".join(f"{name}={peer}" for name, peer in zip(names, peers, strict=True))
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with _stopped_by_signals():
        try:
            for name, peer, client in zip(names, peers, clients, strict=True):
                own = folder / name
                _make(own)
                with (own / "log").open("ab") as log:
                    processes[name] = subprocess.Popen(
                        [
                            *COMMAND, "--name", name, "--data-dir", str(own / "data"),
                            "--initial-cluster", initial, "--listen-peer-urls", peer,
                            "--listen-client-urls", client, *tls_flags, *flags,
                        ],
                        env=python_env(), stdout=log, stderr=log,
                    )  # fmt: skip
            own_identity = None if certificates is None else certificates.client
            _wait_until_started(processes, clients, own_identity, folder)
            show(f"members: {', '.join(names)}; data and logs in {folder}")
            identity = "" if certificates is None else f"{_identity(certificates.client)} "
            show(f"etcdctl --endpoints={','.join(clients)} {identity}put key value")
            _wait_for_an_end(processes, folder)
        except KeyboardInterrupt:
            show("stopping")
        finally:
            _stop(list(processes.values()))
    return 0


def _certificates(folder: Path) -> ClusterCertificates:
    from splitbrain.harness.systems.tls.certificates import ClusterCertificates

    _make(folder)
    return ClusterCertificates(folder)


def _identity(client: ClientTls) -> str:
    """Return the options of etcdctl that show the client's certificate; "" without TLS."""
    return f"--cacert={client.authority} --cert={client.cert} --key={client.key}"


def _check_ports(client_ports: Sequence[int]) -> None:
    """Raise BadArguments if a port of a member is in use, or is above the highest port number."""
    if client_ports[-1] + 1 > PORT_MAX:
        raise BadArguments(
            f"--client-port {client_ports[0]}: the last of {len(client_ports)} members would listen"
            f" on port {client_ports[-1] + 1}, but the highest port is {PORT_MAX}"
        )
    taken = [port for first in client_ports for port in (first, first + 1) if not is_free(port)]
    if taken:
        raise BadArguments(
            f"port {taken[0]} of {HOST} is in use; end the program that listens on it, or give "
            "another --client-port"
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise BadArguments(
            f"--data-dir: {folder} cannot be made: {problem.strerror}; give another folder"
        ) from problem


def _wait_until_started(
    processes: dict[str, subprocess.Popen[bytes]], urls: Sequence[str], client: ClientTls | None,
    folder: Path,
) -> None:
    """Wait until all members are healthy. Raises SystemFailed after START_S_MAX."""
    deadline = time.monotonic() + START_S_MAX
    for name, url in zip(processes, urls, strict=True):
        while not _is_healthy(url, client):
            _refuse_ended(processes, folder)
            if time.monotonic() > deadline:
                raise SystemFailed(
                    f"{name} is not healthy at {url}/health after {START_S_MAX:g} s; its log ends:"
                    f"\n{log_tail(folder / name / 'log')}"
                )
            time.sleep(POLL_S)


def _is_healthy(url: str, client: ClientTls | None) -> bool:
    """Return whether the member at `url` serves clients and knows a leader.

    If a flag of the user gives the members other certificates, their health cannot be read. It is
    then sufficient that the member accepts connections.
    """
    host = urlsplit(url)
    try:
        if client is None:
            connection = HTTPConnection(f"{host.hostname}:{host.port}", timeout=1)
        else:
            context = ssl.create_default_context(cafile=client.authority)
            context.load_cert_chain(client.cert, client.key)
            connection = HTTPSConnection(
                f"{host.hostname}:{host.port}", timeout=1, context=context
            )
        with contextlib.closing(connection):
            connection.request("GET", "/health")
            return connection.getresponse().status == HTTPStatus.OK
    except HTTPException:
        return True
    except OSError:
        return False




def _wait_for_an_end(processes: dict[str, subprocess.Popen[bytes]], folder: Path) -> None:
    while True:
        _refuse_ended(processes, folder)
        time.sleep(POLL_S)


def _refuse_ended(processes: dict[str, subprocess.Popen[bytes]], folder: Path) -> None:
    """Raise SystemFailed if a member has ended."""
    for name, process in processes.items():
        if process.poll() is not None:
            log = folder / name / "log"
            raise SystemFailed(
                f"{name} ended with exit code {process.returncode}; its log ({log}) ends:\n"
                f"{log_tail(log)}"
            )


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
