"""Base classes for a user's store whose members are processes on this machine.

A subclass defines the command line of a member. The base class provides folders, ports, logs,
signals, health checks, and calls for the set-up. A member may consist of several processes, which
are killed and paused together, as if they ran on a separate machine.

`ProxiedProcesses` also puts proxies in front of the members' ports, so that links can be cut. With
the option `network`, each member has a network namespace instead, and no proxy is needed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.clusters.link_faults import LinkFaults
from splitbrain.harness.systems.clusters.store_processes import StoreProcesses
from splitbrain.harness.systems.clusters.this_machine import ProcessesOfThisMachine
from splitbrain.harness.systems.networks.local_network import local_network
from splitbrain.harness.systems.networks.network import MemberNetwork
from splitbrain.harness.systems.processes.member_files import MemberFiles
from splitbrain.harness.systems.processes.ports import HOST
from splitbrain.nemesis.fault_target import MemberName


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMember:
    """A member on this machine: its folder, and its ports by name."""

    name: MemberName
    number: int
    """The number of the member in the order of the members, from 1."""
    folder: Path
    """The folder of the member, which its user may write to."""
    ports: Mapping[str, int]
    """The ports at which the member must listen, by name."""
    dialled: Mapping[str, int]
    """The ports at which the other members reach this member, by name. They are equal to `ports`,
    unless the member has proxies."""
    host: str = HOST
    """The address of the member, at which it must listen."""
    namespace: Path | None = None
    """The network namespace of the member, or None if it runs in that of the harness."""

    @property
    def data(self) -> Path:
        return MemberFiles(self.folder).data


class LocalProcesses(StoreProcesses[LocalMember], ProcessesOfThisMachine[LocalMember]):
    """Starts members as processes of this machine; implements kill and pause.

    All methods are called in one asyncio loop. The members are killed when the thread of that loop
    ends. `prepare`, `before_restart`, `healthy`, `leads`, `set_up` and `tear_down` may be coroutine
    functions.
    """

    proxied: Sequence[str] = ()
    """The names of the ports that have a proxy, if all members are on loopback."""
    user: str = ""
    """The user as whom the members run if the harness runs as root, such as "postgres"."""

    def __init__(
        self, *, members: Sequence[MemberName], folder: Path, options: Options, **_: object
    ) -> None:
        super().__init__(members=members, folder=folder, options=options)
        self._user_folders: dict[MemberName, Path] = {}
        """The folders of members that run as another user. They are outside the folder of the
        run."""

    def environment(self, member: LocalMember) -> Mapping[str, str]:
        """Return the environment variables of the member's processes."""
        return dict(os.environ)

    # --- start and stop ------------------------------------------------------------------

    def _make_network(self) -> MemberNetwork:
        return local_network(
            self.options.network, seed=self.options.seed or 0, proxied=self.proxied,
            folder=self.folder,
        )

    def _environment(self, place: LocalMember) -> Mapping[str, str]:
        return self.environment(place)

    def _working_folder(self, place: LocalMember) -> Path | None:
        return place.folder

    def _user_name(self) -> str | None:
        return self.user if self.user and os.geteuid() == 0 else None

    async def _place(self, name: MemberName, number: int) -> LocalMember:
        ends = await self._network.endpoints(name, self.ports)
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        if self._user_name():
            # Perhaps only this user can enter the folder of the run. So the members need another
            # folder.
            folder = Path(tempfile.mkdtemp(prefix=f"splitbrain-{name}-"))
            self._user_folders[name] = folder
        return LocalMember(
            name=name, number=number, folder=folder, ports=ends.ports, dialled=ends.dialled,
            host=ends.host, namespace=ends.namespace,
        )

    async def _prepare_member(self, place: LocalMember) -> None:
        await super()._prepare_member(place)
        self._give_to_user(place.folder)

    def _give_to_user(self, folder: Path) -> None:
        if (user := self._user_name()) is not None:
            owner = pwd.getpwnam(user)
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner.pw_uid, owner.pw_gid)

    async def _close(self) -> None:
        await super()._close()
        self._keep_folders()

    def _keep_folders(self) -> None:
        """Move the folders of members that ran as another user into the folder of the run."""
        for name, folder in self._user_folders.items():
            shutil.copytree(
                folder, self.folder / name, dirs_exist_ok=True, symlinks=True, ignore=_special_files
            )
            shutil.rmtree(folder)
        self._user_folders.clear()


class LinkedProcesses(LocalProcesses, LinkFaults[LocalMember]):
    """A store whose members are local processes with links; implements all faults of links.

    With network namespaces, each link can be changed without proxies. The harness then adds this
    class to the base classes of each `LocalProcesses` that lacks it.
    """


class ProxiedProcesses(LinkedProcesses):
    """Starts members with proxies between them; implements all faults of links.

    Each member must advertise the ports in `LocalMember.dialled` to its peers. Only processes of
    members can connect to a proxy; clients use `LocalMember.ports`. Every link between members must
    use a port in `proxied`.
    """


def _special_files(folder: str, names: list[str]) -> set[str]:
    """Return those of `names` that are sockets, pipes or devices, which cannot be copied."""
    modes = {name: (Path(folder) / name).lstat().st_mode for name in names}
    copied = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    return {name for name, mode in modes.items() if not any(one(mode) for one in copied)}
