"""The base class of a store whose members run on other hosts."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.clusters.link_faults import LinkFaults
from splitbrain.harness.systems.clusters.store_processes import StoreProcesses
from splitbrain.harness.systems.hosts.host import Host, hosts_of
from splitbrain.harness.systems.hosts.host_network import HostNetwork
from splitbrain.harness.systems.hosts.remote_process import RemoteTree
from splitbrain.harness.systems.networks.namespaces import FIRST_PORT
from splitbrain.nemesis.fault_target import MemberName


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteMember:
    """A member on another host: its host, its folder there, and its ports by name."""

    name: MemberName
    number: int
    """The number of the member in the order of the members, from 1."""
    host: str
    """The address of the host, at which the member listens."""
    folder: PurePosixPath
    """The folder of the member on the host. It is removed at the end."""
    ports: Mapping[str, int]

    @property
    def data(self) -> PurePosixPath:
        return self.folder / "data"


class RemoteProcesses(StoreProcesses[RemoteMember], LinkFaults[RemoteMember]):
    """Starts members on other hosts; implements kill, pause, partitions and packet loss.

    The hosts are given by `--system-option hosts=…`, or by the method `hosts`. Each member needs a
    separate host. The logs of the members are in the folder of the run on this machine.
    """

    unsupported_faults: ClassVar[Collection[str]] = ("latency", "corruption", "slow_receiver")
    """Kinds of faults that the class cannot inject although it has their methods."""

    def __init__(
        self, *, members: Sequence[MemberName], folder: Path, options: Options, **_: object
    ) -> None:
        self._hosts_network: HostNetwork | None = None
        super().__init__(members=members, folder=folder, options=options)

    # --- defined by the store ------------------------------------------------------------

    def hosts(self) -> Sequence[Host]:
        """Return the hosts of the members, in the order of the members.

        By default, these are the hosts of `--system-option hosts=…`.
        """
        return hosts_of(self.options.system_options)

    def files(self, member: RemoteMember) -> Mapping[str, str | bytes | Path]:
        """Return the files that are copied into the member's folder before its first start.

        A key is a path relative to the folder. A value is the content of the file, or the path of a
        local file or folder.
        """
        return {}

    def environment(self, member: RemoteMember) -> Mapping[str, str]:
        """Return environment variables of the member's processes, besides those of the login."""
        return {}

    # --- start and stop ------------------------------------------------------------------

    def _make_network(self) -> HostNetwork:
        first = int(self.options.system_options.get("first_port", FIRST_PORT))
        self._hosts_network = HostNetwork(self.hosts(), first)
        return self._hosts_network

    async def _place(self, name: MemberName, number: int) -> RemoteMember:
        network = self._network_of_hosts()
        ends = await network.endpoints(name, self.ports)
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        return RemoteMember(
            name=name, number=number, host=ends.host, folder=network.of(name).folder / name,
            ports=ends.ports,
        )

    async def _prepare_member(self, place: RemoteMember) -> None:
        await super()._prepare_member(place)
        connection = self._network_of_hosts().of(place.name)
        await connection.upload(self.files(place), place.folder)

    async def _start_process(
        self, place: RemoteMember, command: Sequence[str], log: Path
    ) -> RemoteTree:
        connection = self._network_of_hosts().of(place.name)
        return await connection.start(command, self.environment(place), place.folder, log)

    def data_path(self, member: MemberName) -> Path:
        return Path(os.devnull)

    def _network_of_hosts(self) -> HostNetwork:
        if self._hosts_network is None:
            raise SystemFailed("the cluster has no network yet")
        return self._hosts_network
