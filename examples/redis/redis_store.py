"""Starts Redis with Sentinel or one Redis alone, and defines a client with a set and registers."""

from collections.abc import Mapping, Sequence

import redis

from splitbrain import Address, Definite, LocalMember, LocalProcesses, ProxiedProcesses, StoreClient

SENTINEL = """\
port {port}
sentinel monitor store {host} {primary} 2
sentinel down-after-milliseconds store 1000
sentinel failover-timeout store 3000
bind {own_host}
sentinel announce-ip {own_host}
sentinel announce-port {announced}
"""


class RedisSentinel(ProxiedProcesses):
    """One Redis primary and its replicas, with one sentinel for each server. The quorum is 2."""

    name = "redis-sentinel"
    ports = ("client", "sentinel")
    proxied = ("client", "sentinel")
    version_command = ("redis-server", "--version")

    def prepare(self, member: LocalMember) -> None:
        first = self.places[self.members[0]]
        primary = first.dialled["client"]
        lines = [
            f"bind {member.host}", f"port {member.ports['client']}", "appendonly yes",
            f"replica-announce-ip {member.host}",
            f"replica-announce-port {member.dialled['client']}",
        ]
        if member.number > 1:
            lines.append(f"replicaof {first.host} {primary}")
        (member.folder / "redis.conf").write_text("\n".join(lines) + "\n")
        (member.folder / "sentinel.conf").write_text(SENTINEL.format(
            port=member.ports["sentinel"], host=first.host, primary=primary,
            own_host=member.host, announced=member.dialled["sentinel"],
        ))

    def command(self, member: LocalMember) -> Sequence[str]:
        return ("redis-server", "redis.conf")

    def commands(self, member: LocalMember) -> Mapping[str, Sequence[str]]:
        return {
            "redis": self.command(member),
            "sentinel": ("redis-server", "sentinel.conf", "--sentinel"),
        }

    async def role(self, member: str) -> list[object]:
        place = self.places[member]
        async with redis.asyncio.Redis(host=place.host, port=place.ports["client"]) as connection:
            return await connection.execute_command("ROLE")

    async def healthy(self, member: str) -> bool:
        roles = {one: await self.role(one) for one in self.members}
        mine = roles[member]
        primaries = [one for one in roles.values() if one[0] == b"master"]
        return len(primaries) == 1 and (mine[0] == b"master" or mine[3] == b"connected")

    async def leads(self, member: str) -> bool:
        return (await self.role(member))[0] == b"master"


class RedisAlone(LocalProcesses):
    """One Redis that syncs every write before it answers."""

    name = "redis-alone"
    version_command = ("redis-server", "--version")

    def command(self, member: LocalMember) -> Sequence[str]:
        return (
            "redis-server", "--bind", member.host, "--port", str(member.ports["client"]),
            "--appendonly", "yes", "--appendfsync", "always",
        )


class RedisClient(StoreClient):
    """Writes to the member that the client is connected to, and reads only from a primary."""

    definite = (redis.exceptions.ReadOnlyError, redis.exceptions.BusyLoadingError)

    def open(self, member: Address) -> None:
        self.redis = redis.Redis(member.host, member.port, socket_timeout=2, retry=None)
        self.redis.ping()

    def close(self) -> None:
        self.redis.close()

    def _primary(self) -> redis.Redis:
        if self.redis.execute_command("ROLE")[0] != b"master":
            raise Definite("not the primary")
        return self.redis

    def add(self, element: int) -> None:
        self.redis.sadd("set", element)

    def read(self, key: int | None = None) -> object:
        if key is None:
            return sorted(map(int, self._primary().smembers("set")))
        value = self._primary().get(key)
        return None if value is None else int(value)

    def write(self, key: int, value: int) -> None:
        self.redis.set(key, value)
