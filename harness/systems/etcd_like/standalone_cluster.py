"""A cluster of this project's members on this machine, which runs until it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import ssl
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from splitbrain.harness.clients.tls import ClientTls
from splitbrain.harness.errors import BadArguments, SystemFailed
from splitbrain.harness.systems.clusters.readiness import NotReady
from splitbrain.harness.systems.clusters.this_machine import ProcessesOfThisMachine
from splitbrain.harness.systems.etcd_like.member_addresses import Place
from splitbrain.harness.systems.etcd_like.python_node import COMMAND, member_env
from splitbrain.harness.systems.networks.local_network import local_network
from splitbrain.harness.systems.networks.network import LOOPBACK, MemberNetwork
from splitbrain.harness.systems.processes.member_process import log_tail
from splitbrain.harness.systems.processes.ports import HOST, PORT_MAX, is_free
from splitbrain.nemesis.fault_target import MemberName

if TYPE_CHECKING:
    from splitbrain.harness.systems.tls.certificates import ClusterCertificates

PORTS_APART = 10
STOP_GRACE_MS = 10_000
POLL_S = 0.2


class StandaloneCluster(ProcessesOfThisMachine[Place]):
    """Members of this project at fixed ports, with data that may exist already."""

    name = "cluster"
    stop_grace_ms = STOP_GRACE_MS
    start_tries_max = 1  # the ports are the user's, and the data must not be deleted

    def __init__(
        self, *, members: Sequence[MemberName], folder: Path, client_port: int,
        flags: Sequence[str], certificates: ClusterCertificates | None,
    ) -> None:
        super().__init__(members=members, folder=folder)
        self._client_port = client_port
        self._flags = tuple(flags)
        self._certificates = certificates

    def example_command(self) -> str:
        """Return a command of etcdctl that writes a key to the cluster."""
        urls = ",".join(place.client_url for place in self.places.values())
        identity = ""
        if self._certificates is not None:
            client = self._certificates.client
            identity = f"--cacert={client.authority} --cert={client.cert} --key={client.key} "
        return f"etcdctl --endpoints={urls} {identity}put key value"

    async def wait_until_all_have_ended(self, show: Callable[[str], None]) -> None:
        """Wait until all members have ended by themselves, and raise SystemFailed then.

        When a member ends, `show` is called with the command that starts it again.
        """
        shown = 0
        while True:
            crashes = self.ended_by_themselves()
            ended = {crash.member for crash in crashes}
            if len(ended) == len(self.members):
                last = crashes[-1]
                raise SystemFailed(
                    f"{last.member} ended by itself with {last.how}; its log ({last.log}) ends:\n"
                    f"{log_tail(Path(last.log))}"
                )
            for crash in crashes[shown:]:
                (command,) = self._commands(self.places[crash.member]).values()
                show(
                    f"{crash.member} ended by itself with {crash.how}; its log: {crash.log}; "
                    f"start it again:\n{shlex.join(command)}"
                )
            shown = len(crashes)
            await asyncio.sleep(POLL_S)

    def _make_network(self) -> MemberNetwork:
        return local_network(LOOPBACK, seed=0, proxied=(), folder=self.folder)

    async def _place(self, name: MemberName, number: int) -> Place:
        scheme = "http" if self._certificates is None else "https"
        port = self._client_port + PORTS_APART * (number - 1)
        peer_url = f"{scheme}://{HOST}:{port + 1}"
        return Place(
            name=name, client_url=f"{scheme}://{HOST}:{port}", peer_url=peer_url,
            advertised_url=peer_url, folder=self.folder / name,
        )

    def _commands(self, place: Place) -> Mapping[str, Sequence[str]]:
        initial = ",".join(f"{one.name}={one.peer_url}" for one in self.places.values())
        tls_flags = () if self._certificates is None else self._certificates.flags()
        return {"": (
            *COMMAND, "--name", place.name, "--data-dir", str(place.data),
            "--initial-cluster", initial, "--listen-peer-urls", place.peer_url,
            "--listen-client-urls", place.client_url, *tls_flags, *self._flags,
        )}

    def _environment(self, place: Place) -> Mapping[str, str]:
        return member_env()

    async def _not_ready(self, members: Sequence[MemberName]) -> NotReady | None:
        client = None if self._certificates is None else self._certificates.client
        sick = [
            one for one in members
            if not await asyncio.to_thread(_is_healthy, self.places[one].client_url, client)
        ]
        if not sick:
            return None
        return NotReady(reason=f"{', '.join(sick)} did not become healthy", members=sick)


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
    is in use or the folder cannot be created, and SystemFailed if a member does not start or all
    members end by themselves.
    """
    _check_ports([client_port + PORTS_APART * number for number in range(count)])
    names = [f"n{number}" for number in range(1, count + 1)]
    for name in names:
        _make(folder / name)
    cluster = StandaloneCluster(
        members=names, folder=folder, client_port=client_port, flags=flags,
        certificates=_certificates(folder / "tls") if tls else None,
    )
    asyncio.run(_run(cluster, show))
    return 0


async def _run(cluster: StandaloneCluster, show: Callable[[str], None]) -> None:
    """Run the cluster until a signal, or until all members have ended.

    A second signal kills the members at once.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await cluster.start()
        show(f"members: {', '.join(cluster.members)}; data and logs in {cluster.folder}")
        show(cluster.example_command())
        await cluster.wait_until_all_have_ended(show)
    except asyncio.CancelledError:
        show("stopping")
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await cluster.stop()


def _certificates(folder: Path) -> ClusterCertificates:
    from splitbrain.harness.systems.tls.certificates import ClusterCertificates

    _make(folder)
    return ClusterCertificates(folder)


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
