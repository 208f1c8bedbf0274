"""Starts RabbitMQ nodes in network namespaces, and defines a client with a queue."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pika
from pika.exceptions import UnroutableError

from splitbrain import (
    Address,
    LocalMember,
    LocalProcesses,
    Partition,
    ScheduledFault,
    StoreClient,
)

BINARIES = max(Path("/usr/lib/rabbitmq/lib").glob("*/sbin"), default=Path("/usr/sbin"))


def one_isolated(random, duration_ms, members):
    """Yield one fault: one member is isolated during the middle half of the load."""
    fault = Partition(shape="isolate", how="cut", on=(random.choice(members),))
    yield ScheduledFault(duration_ms // 4, duration_ms * 3 // 4, fault, random.getrandbits(48))


class RabbitMQ(LocalProcesses):
    """Nodes with a policy that mirrors classic queues to all nodes, and with `autoheal`.

    They need `--network namespaces`, because they tell their addresses to each other.
    """

    name = "rabbitmq"
    user = "rabbitmq"
    one_at_a_time = True
    start_timeout_s = 180.0
    version_command = ("dpkg-query", "--show", "rabbitmq-server")

    def prepare(self, member: LocalMember) -> None:
        lines = [
            f"listeners.tcp.1 = {member.host}:{member.ports['client']}", "loopback_users = none",
            "cluster_partition_handling = autoheal",
            "cluster_formation.peer_discovery_backend = classic_config",
        ]
        for other in self.places.values():
            lines.append(f"cluster_formation.classic_config.nodes.{other.number} = {node(other)}")
        (member.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")

    def environment(self, member: LocalMember) -> Mapping[str, str]:
        return {
            **os.environ, "HOME": str(member.folder), "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_NODENAME": node(member), "RABBITMQ_DIST_PORT": "25672",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-setcookie splitbrain",
            "ERL_FLAGS": "-start_epmd false",  # the member's own process `epmd` serves
            "RABBITMQ_CONFIG_FILE": str(member.folder / "rabbitmq"), "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": str(member.folder / "data"),
            "RABBITMQ_LOG_BASE": str(member.folder),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(member.folder / "plugins"),
        }

    def command(self, member: LocalMember) -> Sequence[str]:
        return (str(BINARIES / "rabbitmq-server"),)

    def commands(self, member: LocalMember) -> Mapping[str, Sequence[str]]:
        return {"epmd": ("epmd",), "rabbitmq": self.command(member)}

    def set_up(self) -> None:
        place = self.places["n1"]
        subprocess.run((
            "nsenter", f"--net={place.namespace}", BINARIES / "rabbitmqctl", "--longnames",
            "--erlang-cookie", "splitbrain", "--node", node(place),
            "set_policy", "mirrors", "^classic$", '{"ha-mode":"all","ha-sync-mode":"automatic"}',
        ), check=True, env=self.environment(place), stdout=subprocess.DEVNULL)


def node(member: LocalMember) -> str:
    return f"rabbit@{member.host}"


class RabbitMQClient(StoreClient):
    """Publishes to a durable queue with confirms. `queue` is "quorum" or "classic"."""

    definite = (UnroutableError,)

    def __init__(self, queue: str = "quorum") -> None:
        self.queue = queue

    def open(self, member: Address) -> None:
        self.connection = pika.BlockingConnection(pika.ConnectionParameters(
            member.host, member.port, socket_timeout=2, stack_timeout=3, heartbeat=0,
            blocked_connection_timeout=2,
        ))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def close(self) -> None:
        self.connection.close()

    def setup(self, value: object = None) -> None:
        self.channel.queue_declare(
            self.queue, durable=True, arguments={"x-queue-type": self.queue}
        )

    def enqueue(self, element: int) -> None:
        self.channel.basic_publish(
            "", self.queue, str(element).encode(), pika.BasicProperties(delivery_mode=2),
            mandatory=True,
        )

    def dequeue(self) -> int | None:
        delivery, _, body = self.channel.basic_get(self.queue)
        if delivery is None:
            return None
        self.channel.basic_ack(delivery.delivery_tag)
        return int(body)
