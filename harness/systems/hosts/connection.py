"""A connection to one host over SSH, and the folder of the run on this host.

A guard on the host undoes everything when the connection ends, for whatever reason: it kills the
processes, removes the nftables rules, and removes the folder. The guard is a shell on the host. It
acts when its input ends, or when it has received no input for a long time. Therefore nothing
remains on the host if the harness is killed, or if its machine or the network fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.hosts.host import Host
from splitbrain.harness.systems.hosts.remote_process import RemoteTree
from splitbrain.harness.systems.hosts.remote_shell import COMMAND_TIMEOUT_S, RemoteShell

if TYPE_CHECKING:
    import asyncssh

CONNECT_TIMEOUT_S = 20.0
KEEPALIVE_S = 5.0
SIGN_OF_LIFE_S = 3.0
SILENCE_S_MAX = 30
"""The guard undoes everything if it receives no input from the harness for this time."""


class HostConnection:
    """The connection to one host, from `open` to `close`."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.tag = secrets.token_hex(6)
        self.folder = PurePosixPath("/tmp") / f"splitbrain-{self.tag}"
        self.table = f"splitbrain_{self.tag}"
        """The name of the run's nftables table on this host."""
        self._ssh: asyncssh.SSHClientConnection | None = None
        self._guard: asyncssh.SSHClientProcess[bytes] | None = None
        self._signs_of_life: asyncio.Task[None] | None = None
        self._shell: RemoteShell | None = None

    async def open(self) -> None:
        """Log in to the host, create the run's folder, and start the guard. Raises SystemFailed."""
        asyncssh = _asyncssh()
        host = self.host
        given: dict[str, Any] = {"username": host.user} if host.user else {}
        if host.key:
            given["client_keys"] = [host.key]
        if host.known_hosts:
            given["known_hosts"] = None if host.known_hosts == "none" else host.known_hosts
        try:
            self._ssh = await asyncio.wait_for(asyncssh.connect(
                host.address, port=host.ssh_port, keepalive_interval=KEEPALIVE_S, **given
            ), CONNECT_TIMEOUT_S)
        except (OSError, asyncssh.Error, TimeoutError) as problem:
            raise SystemFailed(
                f"cannot log in to {host.user or '(this user)'}@{host.address}:{host.ssh_port} "
                f"over SSH: {type(problem).__name__}: {problem}"
            ) from problem
        await self.run(f"umask 077 && mkdir {self.folder}")
        self._guard = await self._require().create_process(self._guarding(), encoding=None)
        self._signs_of_life = asyncio.create_task(self._live(self._guard), name="signs of life")

    async def close(self) -> None:
        """Undo everything on the host. The method may be called in any state."""
        guard, self._guard = self._guard, None
        ssh, self._ssh = self._ssh, None
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.close()
        if self._signs_of_life is not None:
            self._signs_of_life.cancel()
        if ssh is None:
            return
        try:
            if guard is not None:
                guard.stdin.write_eof()
                with contextlib.suppress(TimeoutError, OSError, _asyncssh().Error):
                    await asyncio.wait_for(guard.wait(), COMMAND_TIMEOUT_S)
        finally:
            ssh.close()
            with contextlib.suppress(TimeoutError, OSError):
                await asyncio.wait_for(ssh.wait_closed(), CONNECT_TIMEOUT_S)

    async def run(self, command: str, given: str = "") -> str:
        """Run a shell command with the input `given`, and return its output.

        Raises SystemFailed if the command fails.
        """
        if self._shell is None:
            self._shell = RemoteShell(self._require(), self.host.address)
        return await self._shell.run(command, given)

    async def as_root(self, command: str, given: str = "") -> str:
        """Run a command as root, with the input `given`, and return its output."""
        return await self.run(f"sudo -n {command}" if self.host.sudo else command, given)

    async def upload(self, files: Mapping[str, str | bytes | Path], folder: PurePosixPath) -> None:
        """Copy files and folders to the host, into `folder`, which is created.

        The keys are paths relative to `folder`. A value is the content of a file, or the path of a
        local file or folder.
        """
        await self.run(f"mkdir -p {shlex.quote(str(folder))}")
        ssh = self._require()
        async with ssh.start_sftp_client() as sftp:
            for name, content in files.items():
                target = folder / name
                await sftp.makedirs(str(target.parent), exist_ok=True)
                if isinstance(content, Path):
                    await sftp.put(str(content), str(target), recurse=True, preserve=True)
                    continue
                async with sftp.open(str(target), "wb") as file:
                    await file.write(content.encode() if isinstance(content, str) else content)

    async def start(
        self, command: Sequence[str], environment: Mapping[str, str], folder: PurePosixPath,
        log: Path,
    ) -> RemoteTree:
        """Start a process on the host in `folder`; its output goes to the local file `log`."""
        pid_file = self.folder / f"{secrets.token_hex(4)}.pid"
        variables = [f"{name}={value}" for name, value in environment.items()]
        words = shlex.join(("env", *variables, *command))
        script = f"cd {shlex.quote(str(folder))} && echo $$ > {pid_file} && exec {words}"
        log.parent.mkdir(parents=True, exist_ok=True)
        asyncssh, ssh = _asyncssh(), self._require()
        try:
            process = await ssh.create_process(
                f"exec sh -c {shlex.quote(script)}", stdin=asyncssh.DEVNULL,
                stdout=log.open("ab"), stderr=asyncssh.STDOUT, encoding=None,
            )
        except (OSError, asyncssh.Error) as problem:
            raise SystemFailed(
                f"{self.host.address}: cannot start {words}: {problem}"
            ) from problem
        return RemoteTree(process, pid_file, self.run, ssh.is_closed)

    async def _live(self, guard: asyncssh.SSHClientProcess[bytes]) -> None:
        while not guard.stdin.is_closing():
            guard.stdin.write(b".")
            await asyncio.sleep(SIGN_OF_LIFE_S)

    def _guarding(self) -> str:
        """Return the shell command of the guard.

        The command waits until its input ends, or until no input comes for too long. Then it kills
        each process whose pid is in a file of the run's folder, and undoes the rest.
        """
        sudo = "sudo -n " if self.host.sudo else ""
        undo = (
            "trap '' HUP; "
            f'while [ -n "$(timeout {SILENCE_S_MAX} head -c 1)" ]; do :; done; '
            f"for file in {self.folder}/*.pid; do "
            'kill -s KILL -- "-$(cat "$file")"; done; '
            f"{sudo}nft delete table ip {self.table}; rm -rf {self.folder}"
        )
        return f"exec sh -c {shlex.quote(undo)} 2> /dev/null"

    def _require(self) -> asyncssh.SSHClientConnection:
        if self._ssh is None:
            raise SystemFailed(f"there is no connection to {self.host.address}: start the cluster")
        return self._ssh


def _asyncssh() -> Any:
    """Return the module asyncssh, which only members on other hosts need.

    Raises SystemFailed if it is not installed.
    """
    try:
        import asyncssh
    except ImportError as problem:
        raise SystemFailed(
            "members on other hosts need asyncssh: pip install 'splitbrain[ssh]'"
        ) from problem
    return asyncssh
