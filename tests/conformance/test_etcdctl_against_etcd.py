"""An unmodified etcdctl prints the same with a member of this project as with etcd 3.5.1."""

from __future__ import annotations

import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conformance.etcdctl_commands import GROUPS, Command
from tests.conformance.server_pair import OURS_COMMAND, Server, etcd_binary, start_server

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.etcd,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`"),
]
PATIENCE_S = 60
LEASE, SECOND_LEASE = 0x4D2, 0x5D3

REPLACED = (
    # Ids, random parts of keys, terms, sizes, hashes and times differ from member to member.
    (r'"TTL" : 49\d\d', '"TTL" : N'),
    (r"\b[0-9a-f]{14,16}\b", "HEX"),
    (r"\b\d{17,20}\b", "DECIMAL"),
    (r'("(?:raft_term|raftTerm|raftIndex|raftAppliedIndex|dbSize|dbSizeInUse)":)\d+', r"\1N"),
    (r'"RaftTerm" : \d+', '"RaftTerm" : N'),
    (r"\b\d+(?:\.\d+)?(?:µs|ms|s)\b", "TIME"),
    # The log lines of etcdctl begin with a time.
    (r'"ts":(?:"[^"]*"|[\d.]+)', '"ts":0'),
    (r"etcd-endpoints://\w+/", "etcd-endpoints://N/"),
    # The columns of a table are as wide as their longest cell, for example an id.
    (r"-{2,}", "--"),
    (r" +", " "),
)


class Printed(NamedTuple):
    exit_code: int
    output: str
    errors: str


class Etcdctl:
    """Runs etcdctl with a server, and replaces what differs from server to server."""

    def __init__(self, server: Server) -> None:
        program = etcd_binary()
        assert program is not None
        endpoint = f"127.0.0.1:{server.port}"
        self._command = [str(Path(program).with_name("etcdctl")), f"--endpoints={endpoint}"]
        listed = server.post("/v3/cluster/member/list", {})["members"]
        assert isinstance(listed, list)
        self._urls = (endpoint, listed[0]["peerURLs"][0].removeprefix("http://"))

    def start(self, arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, *shlex.split(arguments)], env={"ETCDCTL_API": "3"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, command: Command) -> Printed:
        arguments = command.arguments.format(lease=f"{LEASE:x}", second=f"{SECOND_LEASE:x}")
        process = self.start(arguments)
        output, errors = process.communicate(command.given, PATIENCE_S)
        return Printed(process.returncode, self.comparable(output), self.comparable(errors))

    def comparable(self, text: str) -> str:
        for url, name in zip(self._urls, ("CLIENT", "PEER"), strict=True):
            text = text.replace(url, name)
        for pattern, replacement in REPLACED:
            text = re.sub(pattern, replacement, text)
        return text


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Etcdctl, Etcdctl]]:
    """A member and an etcd of their own for each group.

    The leases of another group would end meanwhile, at slightly different times.
    """
    binary = etcd_binary()
    assert binary is not None
    servers = []
    try:
        for name, program in (
            ("ours", [*OURS_COMMAND, "--password-cost", "1"]), ("etcd", [binary]),
        ):  # fmt: skip
            server = start_server(name, program, tmp_path / name, tmp_path / f"{name}.log")
            servers.append(server)
            for lease in (LEASE, SECOND_LEASE):
                server.post("/v3/lease/grant", {"ID": lease, "TTL": 5000})
        ours, theirs = map(Etcdctl, servers)
        yield ours, theirs
    finally:
        for server in servers:
            server.stop()


@pytest.mark.parametrize("group", GROUPS)
def test_each_command_prints_the_same_as_with_etcd(
    both: tuple[Etcdctl, Etcdctl], group: str
) -> None:
    with ThreadPoolExecutor() as threads:
        printed = [
            threads.submit(lambda ctl: [ctl(command) for command in GROUPS[group]], ctl)
            for ctl in both
        ]
    ours, theirs = (one.result() for one in printed)
    for command, of_ours, of_etcd in zip(GROUPS[group], ours, theirs, strict=True):
        assert of_ours == of_etcd, command


WATCHES = (
    "w/ --prefix --rev=2", "w/ --prefix --rev=2 --prev-kv", "w/1 w/2 --rev=2 -w json",
    "w/1 --rev=2 -w fields", "w/1 --rev=2 -- /bin/echo changed",
)  # fmt: skip
LAST = re.compile("last|bGFzdA==")
"""The value of the last event, as text or in base64."""


def events_of(ctl: Etcdctl, arguments: str) -> list[str]:
    """Return the lines that a watch prints until the last event."""
    watch = ctl.start(f"watch {arguments}")
    ended = threading.Timer(PATIENCE_S, watch.kill)
    ended.start()
    lines: list[str] = []
    assert watch.stdout is not None
    while not lines or not LAST.search(lines[-1]):
        line = watch.stdout.readline()
        assert line, (arguments, lines)
        lines.append(ctl.comparable(line))
    ended.cancel()
    watch.kill()
    watch.communicate()
    return lines


def test_a_watch_prints_the_same_events_as_with_etcd(tmp_path: Path) -> None:
    binary = etcd_binary()
    assert binary is not None
    printed: list[dict[str, list[str]]] = []
    for name, program in (("ours", OURS_COMMAND), ("etcd", [binary])):
        server = start_server(name, program, tmp_path / name, tmp_path / f"{name}.log")
        try:
            ctl = Etcdctl(server)
            for arguments in ("put w/1 a", "put w/2 b", "put w/1 c", "del w/2", "put w/1 last"):
                assert ctl(Command(arguments)).exit_code == 0
            printed.append({one: events_of(ctl, one) for one in WATCHES})
            ctl(Command("compaction 3"))
            printed[-1]["compacted"] = list(map(str, ctl(Command("watch w/1 --rev=1"))))
        finally:
            server.stop()
    ours, theirs = printed
    assert ours == theirs
    assert "compacted" in ours["compacted"][2]
