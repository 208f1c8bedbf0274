"""Starts NATS servers on disks that lose power, and defines a client with a stream."""

import asyncio
from collections.abc import Sequence
from urllib.request import urlopen

import nats
from nats.js.errors import BadRequestError, NotFoundError

from splitbrain import Address, DiskedProcesses, LocalMember, PowerLoss, ScheduledFault, StoreClient

STREAM = "elements"
CONFIGURATION = """\
server_name: {name}
listen: "{host}:{client}"
http: "{host}:{monitor}"
jetstream {{ store_dir: "data"{sync} }}
cluster {{
  name: splitbrain
  listen: "{host}:{cluster}"
  routes: [{routes}]
}}
"""


def power_loss(random, duration_ms, members):
    """Yield one fault: all servers lose power at one moment, in the middle of the load."""
    middle = duration_ms // 2
    yield ScheduledFault(middle, middle + 1000, PowerLoss("all"), random.getrandbits(48))


class JetStream(DiskedProcesses):
    """NATS servers with JetStream, on disks that can lose unsynced data.

    The system option `sync` sets `sync_interval`. `program` is the program of the server.
    """

    name = "jetstream"
    ports = ("client", "cluster", "monitor")

    @property
    def version_command(self) -> Sequence[str]:
        return (str(self.options.system_options.get("program", "nats-server")), "--version")

    def prepare(self, member: LocalMember) -> None:
        sync = self.options.system_options.get("sync")
        routes = (
            f'"nats://{one.host}:{one.ports["cluster"]}"' for one in self.places.values()
        )
        (member.folder / "nats.conf").write_text(CONFIGURATION.format(
            name=member.name, host=member.host, routes=", ".join(routes), **member.ports,
            sync=f", sync_interval: {sync}" if sync else "",
        ))

    def command(self, member: LocalMember) -> Sequence[str]:
        return (self.version_command[0], "--config", "nats.conf")

    def healthy(self, member: str) -> bool:
        place = self.places[member]
        with urlopen(f"http://{place.host}:{place.ports['monitor']}/healthz", timeout=1) as answer:
            return answer.status == 200


class JetStreamClient(StoreClient):
    """Adds elements to a stream with three replicas, and reads the whole stream."""

    async def open(self, member: Address) -> None:
        self.connection = await nats.connect(
            f"nats://{member.host}:{member.port}", allow_reconnect=False, connect_timeout=2,
        )
        self.stream = self.connection.jetstream(timeout=2)

    async def close(self) -> None:
        await self.connection.close()

    async def setup(self, value: object = None) -> None:
        for _ in range(50):
            try:
                await self.stream.add_stream(name=STREAM, subjects=[STREAM], num_replicas=3)
                return
            except BadRequestError:  # the servers do not know each other yet
                await asyncio.sleep(0.2)

    async def add(self, element: int) -> None:
        await self.stream.publish(STREAM, str(element).encode())

    async def read(self) -> list[int]:
        try:
            total = (await self.stream.stream_info(STREAM)).state.messages
        except NotFoundError:
            return []  # the servers have forgotten the stream itself
        consumer = await self.stream.pull_subscribe(STREAM, stream=STREAM)
        found: list[int] = []
        while len(found) < total:
            messages = await consumer.fetch(min(total - len(found), 500), timeout=2)
            found += [int(one.data) for one in messages]
        await consumer.unsubscribe()
        return found
