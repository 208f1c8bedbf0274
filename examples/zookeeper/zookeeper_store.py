"""Starts ZooKeeper servers, and defines a client with registers, with or without `sync`."""

import asyncio
from collections.abc import Sequence

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError, NoNodeError

from splitbrain import Address, LocalMember, ProxiedProcesses, StoreClient

JAVA = ("java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
CLASSES = "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar"
SETTINGS = """\
tickTime=500
initLimit=20
syncLimit=6
dataDir={data}
clientPort={client}
clientPortAddress={host}
admin.enableServer=false
4lw.commands.whitelist=*
"""


class ZooKeeper(ProxiedProcesses):
    name = "zookeeper"
    ports = ("client", "quorum", "election")
    proxied = ("quorum", "election")
    version_command = ("java", "-cp", CLASSES, "org.apache.zookeeper.version.VersionInfoMain")

    def prepare(self, member: LocalMember) -> None:
        lines = [SETTINGS.format(
            data=member.data, host=member.host, client=member.ports["client"]
        )]
        for other in self.places.values():
            # A server listens on its own ports, and dials the proxies of the others.
            ports = member.ports if other is member else other.dialled
            address = f"{other.host}:{ports['quorum']}:{ports['election']}"
            lines.append(f"server.{other.number}={address}\n")
        (member.folder / "zoo.cfg").write_text("".join(lines))
        member.data.mkdir()
        (member.data / "myid").write_text(str(member.number))

    def command(self, member: LocalMember) -> Sequence[str]:
        logging = "-Dzookeeper.root.logger=INFO,CONSOLE"
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        return (*JAVA, logging, "-cp", CLASSES, main, "zoo.cfg")

    async def mode(self, member: str) -> str:
        """Return the role of a server, such as "leader"; "" if it has none."""
        place = self.places[member]
        reader, writer = await asyncio.open_connection(place.host, place.ports["client"])
        writer.write(b"srvr")
        answer = (await reader.read()).decode()
        writer.close()
        return answer.partition("Mode: ")[2].partition("\n")[0]

    async def healthy(self, member: str) -> bool:
        return await self.mode(member) in ("leader", "follower")

    async def leads(self, member: str) -> bool:
        return await self.mode(member) == "leader"


class ZooKeeperClient(StoreClient):
    """Reads and writes registers at the server that the client is connected to.

    Before each read, it calls ZooKeeper's `sync`, unless the option `sync` is 0.
    """

    definite = (NodeExistsError,)

    def __init__(self, sync: int = 1) -> None:
        self.sync = sync

    def open(self, member: Address) -> None:
        self.zookeeper = KazooClient(f"{member.host}:{member.port}", timeout=4)
        self.zookeeper.start(timeout=2)

    def close(self) -> None:
        self.zookeeper.stop()
        self.zookeeper.close()

    def read(self, key: int) -> int | None:
        if self.sync:
            self.zookeeper.sync(f"/{key}")
        try:
            return int(self.zookeeper.get(f"/{key}")[0])
        except NoNodeError:
            return None

    def write(self, key: int, value: int) -> None:
        data = str(value).encode()
        try:
            self.zookeeper.set(f"/{key}", data)
        except NoNodeError:
            self.zookeeper.create(f"/{key}", data)
