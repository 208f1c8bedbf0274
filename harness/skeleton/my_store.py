"""Starts the store (`MySystem`), and sends operations to it (`MyClient`).

Change each line marked with REPLACE. `splitbrain doctor` shows which faults this machine supports.
"""

import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from splitbrain import Address, LocalMember, LocalProcesses, StoreClient


class MySystem(LocalProcesses):
    """Starts the members as processes on this machine. Supports the faults kill and pause.

    For partitions between members, use `splitbrain.ProxiedProcesses`.
    """

    name = "my-store"
    ports = ("client",)  # REPLACE: the names of the ports of a member
    version_command = (sys.executable, "--version")  # REPLACE: prints the store's version

    def command(self, member: LocalMember) -> Sequence[str]:
        # REPLACE: the command line of one member. `member.folder` is empty at its first start.
        return (
            sys.executable, str(Path(__file__).with_name("toy_store.py")),
            "--port", str(member.ports["client"]), "--file", str(member.folder / "store.jsonl"),
            *(["--forget"] if self.options.system_options.get("forget") else []),
        )


class MyClient(StoreClient):
    """A connection to one member.

    Its methods may block, because each client runs in a separate thread.
    """

    # REPLACE: the exceptions after which an operation certainly did not take effect.
    # After any other exception it may have, and the outcome is `info`.
    definite = (ConnectionRefusedError,)

    def open(self, member: Address) -> None:
        self.connection = socket.create_connection((member.host, member.port))
        self.file = self.connection.makefile("rw")

    def close(self) -> None:
        self.connection.close()

    # REPLACE: one method for each function of the workloads that the store can serve
    # (`splitbrain list store-workloads`).

    def read(self, key: int | str = "set") -> Any:
        answer = self._ask("read", key)
        return answer if key != "set" else answer or []

    def write(self, key: int, value: int) -> None:
        self._ask("write", key, value)

    def cas(self, key: int, old: int, new: int) -> bool:
        return bool(self._ask("cas", key, [old, new]))

    def add(self, element: int) -> None:
        self._ask("add", "set", element)

    def _ask(self, f: str, key: int | str, value: Any = None) -> Any:
        self.file.write(json.dumps([f, str(key), value]) + "\n")
        self.file.flush()
        line = self.file.readline()
        if not line:
            raise ConnectionError("the store closed the connection")
        return json.loads(line)
