"""A shell on a host that stays open, so that a command does not need a new login."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from splitbrain.harness.errors import SystemFailed

if TYPE_CHECKING:
    import asyncssh

COMMAND_TIMEOUT_S = 30.0


class RemoteShell:
    """A shell on a host, which runs one command after the other, each in a subshell."""

    def __init__(self, ssh: asyncssh.SSHClientConnection, name: str) -> None:
        self._ssh = ssh
        self._name = name
        self._shell: asyncssh.SSHClientProcess[bytes] | None = None
        self._lock = asyncio.Lock()

    async def run(self, command: str, given: str = "") -> str:
        """Run a command on the host with `given` as its input, and return its output.

        Raises SystemFailed if the exit code is not 0, or if the command takes too long.
        """
        mark = secrets.token_hex(8)
        text = given if given.endswith("\n") or not given else f"{given}\n"
        script = (
            f"( {command}\n) 2>&1 <<'{mark}'\n{text}{mark}\nprintf '\\n%s %s\\n' {mark} $?\n"
        )
        async with self._lock:
            try:
                code, output = await asyncio.wait_for(
                    self._execute(script, mark), COMMAND_TIMEOUT_S
                )
            except BaseException as problem:
                self.close()  # the rest of the answer must not be read as the next answer
                if not isinstance(problem, OSError | TimeoutError | EOFError):
                    raise
                raise SystemFailed(
                    f"{self._name}: cannot run {command!r}: {type(problem).__name__}: {problem}"
                ) from problem
        if code != 0:
            raise SystemFailed(
                f"{self._name}: {command!r} ended with exit code {code}: {output.strip()[:500]}"
            )
        return output

    def close(self) -> None:
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.close()

    async def _execute(self, script: str, mark: str) -> tuple[int, str]:
        if self._shell is None:
            self._shell = await self._ssh.create_process("exec sh", encoding=None)
        self._shell.stdin.write(script.encode())
        lines: list[bytes] = []
        while True:
            line = await self._shell.stdout.readline()
            if not line:
                raise EOFError("the shell has ended")
            if line.startswith(mark.encode()):
                return int(line.split()[1]), b"".join(lines).decode(errors="replace")[:-1]
            lines.append(line)
