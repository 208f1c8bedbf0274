"""Provides hosts for tests: sshd in network namespaces of this machine."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from splitbrain.harness.systems.networks.namespaces import Namespaces
from splitbrain.harness.systems.processes.member_process import MemberProcess, spawn
from splitbrain.nemesis.linux import namespaces

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")


def missing() -> str:
    """Why this machine cannot have such hosts; "" if it can."""
    if SSHD is None:
        return "there is no sshd; install Debian's openssh-server"
    return namespaces.missing()


@asynccontextmanager
async def ssh_hosts(folder: Path, count: int) -> AsyncIterator[dict[str, int | str]]:
    """Start hosts, and yield the options of a system that reach them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host_key", "user_key"):
        subprocess.run(
            ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)), check=True
        )
    (folder / "authorized_keys").write_text((folder / "user_key.pub").read_text())
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    names = tuple(f"h{number}" for number in range(1, count + 1))
    network = Namespaces(seed=1, log=folder / "slow_links.log")
    servers: list[MemberProcess] = []
    try:
        await network.start(names)
        addresses = []
        for name in names:
            ends = await network.endpoints(name, ("ssh",))
            addresses.append(ends.host)
            config = folder / f"{name}.conf"
            config.write_text(
                f"ListenAddress {ends.host}:22\nHostKey {folder / 'host_key'}\nPidFile none\n"
                f"AuthorizedKeysFile {folder / 'authorized_keys'}\nStrictModes no\nUsePAM no\n"
                "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\nUseDNS no\n"
            )
            servers.append(spawn(
                (str(SSHD), "-D", "-e", "-f", str(config)), {}, folder / f"{name}.log",
                namespace=ends.namespace,
            ))
            await _accepts(ends.host)
        host_key = (folder / "host_key.pub").read_text()
        known = "".join(f"{address} {host_key}" for address in addresses)
        (folder / "known_hosts").write_text(known)
        yield {
            "hosts": ",".join(f"root@{address}" for address in addresses),
            "ssh_key": str(folder / "user_key"), "known_hosts": str(folder / "known_hosts"),
        }
    finally:
        for server in servers:
            await server.kill_and_wait()
        await network.stop()


async def _accepts(host: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, 22)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
