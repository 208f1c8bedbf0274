"""Members of any store run as processes on loopback, with signals, health checks and proxies."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from splitbrain import LinkState, LocalMember, LocalProcesses, ProxiedProcesses, SystemFailed
from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import Options, read_options
from splitbrain.harness.skeleton import toy_store

TOY = Path(toy_store.__file__)
PROBE = """
import socket, sys, time
from pathlib import Path
out = Path(sys.argv[1])
while True:
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[2])), 0.3) as s:
            s.settimeout(0.3)
            s.sendall(b'["read", "x", null]\\n')
            ok = bool(s.recv(100))
    except OSError:
        ok = False
    with out.open("a") as file:
        file.write("y" if ok else "n")
    time.sleep(0.02)
"""


def toy_command(member: LocalMember) -> Sequence[str]:
    return (
        sys.executable, str(TOY), "--port", str(member.ports["client"]),
        "--file", str(member.folder / "store.jsonl"),
    )


class Toy(LocalProcesses):
    name = "toy"

    def command(self, member: LocalMember) -> Sequence[str]:
        return toy_command(member)


class Probing(ProxiedProcesses):
    """Each member has a second process, which dials the other member."""

    name = "probing"
    proxied = ("client",)

    def command(self, member: LocalMember) -> Sequence[str]:
        return toy_command(member)

    def commands(self, member: LocalMember) -> Mapping[str, Sequence[str]]:
        other = next(one for one in self.places.values() if one is not member)
        probe = (
            sys.executable, "-c", PROBE, str(member.folder / "seen"),
            str(other.dialled["client"]),
        )
        return {"store": self.command(member), "probe": probe}


def made(kind: type[LocalProcesses], folder: Path, members: int = 2) -> LocalProcesses:
    names = tuple(f"n{number}" for number in range(1, members + 1))
    return kind(members=names, folder=folder, options=Options())


def driven(
    system: LocalProcesses, body: Callable[[], Awaitable[None]]
) -> None:
    async def main() -> None:
        await system.start()
        try:
            await body()
        finally:
            await system.stop()

    asyncio.run(main())


def ask(system: LocalProcesses, line: bytes, member: str = "n1", timeout: float = 10) -> bytes:
    address = system.address(member)
    with socket.create_connection((address.host, address.port), timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(line)
        return connection.recv(100)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the condition never became true")


def test_a_member_that_was_killed_restarts_on_its_data(tmp_path: Path) -> None:
    system = made(Toy, tmp_path, 1)

    async def body() -> None:
        assert ask(system, b'["write", "x", 3]\n') == b"null\n"
        await system.kill("n1")
        assert not system.alive("n1")
        await system.restart("n1")
        while not await system.is_healthy("n1"):
            await asyncio.sleep(0.02)
        assert ask(system, b'["read", "x", null]\n') == b"3\n"
        assert system.ended_by_themselves() == ()

    driven(system, body)
    assert not system.alive("n1")


def test_a_paused_member_runs_and_answers_when_it_is_resumed(tmp_path: Path) -> None:
    system = made(Toy, tmp_path, 1)

    async def body() -> None:
        await system.pause("n1")
        assert system.alive("n1")
        with pytest.raises(TimeoutError):
            ask(system, b'["read", "x", null]\n', timeout=0.2)
        await system.resume("n1")
        assert ask(system, b'["read", "x", null]\n') == b"null\n"

    driven(system, body)


def test_the_processes_of_a_member_are_killed_together_and_their_links_can_be_cut(
    tmp_path: Path
) -> None:
    system = made(Probing, tmp_path)
    assert isinstance(system, Probing)

    def seen(member: str) -> str:
        path = tmp_path / member / "seen"
        return path.read_text() if path.exists() else ""

    async def body() -> None:
        await until(lambda: "y" in seen("n1") and "y" in seen("n2"))
        for pair in (("n1", "n2"), ("n2", "n1")):
            await system.set_link(*pair, LinkState(open=False))
        cut = {name: len(seen(name)) + 1 for name in ("n1", "n2")}
        await until(lambda: all(len(seen(name)) > cut[name] + 5 for name in cut))
        assert "y" not in seen("n1")[cut["n1"]:]
        for pair in (("n1", "n2"), ("n2", "n1")):
            await system.set_link(*pair, LinkState())
        healed = len(seen("n1"))
        await until(lambda: "y" in seen("n1")[healed:])
        assert len(system.pids("n1")) == 2
        await system.kill("n1")
        assert system.pids("n1") == ()

    driven(system, body)


def test_a_process_that_ends_by_itself_is_a_crash(tmp_path: Path) -> None:
    system = made(Toy, tmp_path, 1)

    async def body() -> None:
        os.kill(system.pids("n1")[0], 6)
        await until(lambda: not system.alive("n1"))
        (crash,) = system.ended_by_themselves()
        assert (crash.member, crash.how) == ("n1", "signal 6 (SIGABRT)")

    driven(system, body)


def test_a_member_that_does_not_start_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    class Broken(Toy):
        def command(self, member: LocalMember) -> Sequence[str]:
            return (sys.executable, "-c", "raise SystemExit('no disk')")

    with pytest.raises(SystemFailed, match="no disk"):
        driven(made(Broken, tmp_path), lambda: asyncio.sleep(0))


def test_a_cluster_starts_again_on_other_ports_after_another_program_took_one(
    tmp_path: Path
) -> None:
    class Late(Toy):
        """The first start fails as if the port were in use, and leaves a file."""

        first_ports: Mapping[str, int] | None = None

        def prepare(self, member: LocalMember) -> None:
            (member.folder / "config").write_text("for one start")

        def command(self, member: LocalMember) -> Sequence[str]:
            if self.first_ports is None:
                self.first_ports = member.ports
                script = "touch left; echo Address already in use; exit 1"
                return ("/bin/sh", "-c", script)
            return toy_command(member)

    system = made(Late, tmp_path, 1)
    assert isinstance(system, Late)

    async def body() -> None:
        assert ask(system, b'["read", "x", null]\n') == b"null\n"
        assert system.places["n1"].ports != system.first_ports
        assert not (tmp_path / "n1" / "left").exists()
        assert (tmp_path / "n1" / "config").exists()
        assert "in use" in system.log_path("n1").read_text()
        assert system.ended_by_themselves() == ()
        with pytest.raises(SystemFailed, match="already started"):
            await system.start()

    driven(system, body)


def test_an_unknown_member_is_refused(tmp_path: Path) -> None:
    system = made(Toy, tmp_path)
    assert not system.alive("n1")
    with pytest.raises(SystemFailed, match="no member 'n9' in this cluster: it has n1, n2"):
        system.alive("n9")
    with pytest.raises(SystemFailed, match="has not been started, so n1 has no address"):
        system.address("n1")


def test_a_member_that_is_never_healthy_is_an_error_with_that_of_the_last_check(
    tmp_path: Path
) -> None:
    class Sick(Toy):
        start_timeout_s = 0.1

        def healthy(self, member: str) -> bool:
            raise ValueError("no quorum")

    with pytest.raises(SystemFailed, match=r"within 0\.1 s; its last check raised ValueError: no"):
        driven(made(Sick, tmp_path, 1), lambda: asyncio.sleep(0))


def test_the_steps_of_the_set_up_are_called_in_order(tmp_path: Path) -> None:
    steps = []

    class Steps(Toy):
        one_at_a_time = True

        def prepare(self, member: LocalMember) -> None:
            steps.append(f"prepare {member.name}")

        async def set_up(self) -> None:
            steps.append("set up")

        def tear_down(self) -> None:
            steps.append("tear down")

    driven(made(Steps, tmp_path), lambda: asyncio.sleep(0))
    assert steps == ["prepare n1", "prepare n2", "set up", "tear down"]


def test_the_leader_is_the_first_running_member_that_leads(tmp_path: Path) -> None:
    class Led(Toy):
        leading = ("n2", "n3")

        async def leads(self, member: str) -> bool:
            if member == "n1":
                raise ConnectionRefusedError("n1 does not answer")
            return member in self.leading

    system = made(Led, tmp_path, 3)

    async def body() -> None:
        assert await system.leader() == "n2"
        await system.kill("n2")
        assert await system.leader() == "n3"
        await system.kill("n3")
        assert await system.leader() is None

    driven(system, body)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run members as another user")
def test_members_run_as_another_user_and_their_files_are_kept(tmp_path: Path) -> None:
    class Nobody(Toy):
        user = "nobody"

        def command(self, member: LocalMember) -> Sequence[str]:
            return ("/bin/sh", "-c", "mkfifo pipe; id -u > owner; exec sleep 60")

        def healthy(self, member: str) -> bool:
            return (self.places[member].folder / "owner").exists()

    driven(made(Nobody, tmp_path, 1), lambda: asyncio.sleep(0))
    assert int((tmp_path / "n1" / "owner").read_text()) == pwd.getpwnam("nobody").pw_uid


def test_partitions_are_refused_for_a_system_without_proxies() -> None:
    here = "tests.unit.systems.test_local_processes"
    client = "tests.unit.any_store.memory_store:Registers"
    chosen = {"client": client, "nemesis": ["partition"], "nodes": [3], "time_limit_s": 1.0}
    with pytest.raises(BadArguments, match="partition"):
        draw_schedule(read_options({**chosen, "system": f"{here}:Toy"}))
    draw_schedule(read_options({**chosen, "system": f"{here}:Probing"}))
