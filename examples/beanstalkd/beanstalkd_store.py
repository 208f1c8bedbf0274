"""Starts a beanstalkd server, and defines a client with a queue."""

import socket
from collections.abc import Sequence

from splitbrain import Address, LocalMember, LocalProcesses, StoreClient


class Beanstalkd(LocalProcesses):
    """The server syncs each job to its log. With the system option `log=0` it has no log."""

    name = "beanstalkd"
    version_command = ("beanstalkd", "-v")

    def prepare(self, member: LocalMember) -> None:
        (member.folder / "log-of-jobs").mkdir()

    def command(self, member: LocalMember) -> Sequence[str]:
        log = ("-b", "log-of-jobs", "-f", "0") if self.options.system_options.get("log", 1) else ()
        return ("beanstalkd", "-l", member.host, "-p", str(member.ports["client"]), *log)


class BeanstalkdClient(StoreClient):
    """Puts jobs into the tube `default`. A job is taken out when it is reserved and deleted."""

    def open(self, member: Address) -> None:
        self.socket = socket.create_connection((member.host, member.port), timeout=2)
        self.answers = self.socket.makefile("rb")

    def close(self) -> None:
        self.socket.close()

    def ask(self, request: str) -> list[str]:
        """Send `request`, and return the words of the answer's first line."""
        self.socket.sendall(request.encode())
        line = self.answers.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server has closed the connection")
        return line.decode().split()

    def enqueue(self, element: int) -> None:
        answer = self.ask(f"put 0 0 60 {len(str(element))}\r\n{element}\r\n")
        if answer[0] != "INSERTED":
            raise RuntimeError(answer[0])

    def dequeue(self) -> int | None:
        answer = self.ask("reserve-with-timeout 0\r\n")
        if answer[0] == "TIMED_OUT":
            return None
        _, job, length = answer
        element = int(self.answers.read(int(length) + 2))
        if self.ask(f"delete {job}\r\n") != ["DELETED"]:
            raise RuntimeError("the job is not deleted")
        return element
