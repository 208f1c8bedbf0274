"""Members run on other hosts over SSH. The hosts are network namespaces with sshd."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from splitbrain import Kill, LinkState, PacketLoss, Partition, Pause, RemoteMember, RemoteProcesses
from splitbrain.harness.errors import BadArguments, SystemFailed
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.factory import capabilities_of
from splitbrain.harness.systems.hosts.host import Host, hosts_of
from splitbrain.harness.systems.processes.member_process import python_env
from splitbrain.nemesis.injection.all_injectors import inject
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from tests.conformance.ssh_hosts import missing, ssh_hosts

needs_hosts = pytest.mark.skipif(bool(missing()), reason=missing())
TALKER = Path(__file__).with_name("talker.py")


class Remote(RemoteProcesses):
    ports = ("control", "peer")

    def command(self, member: RemoteMember) -> tuple[str, ...]:
        ports = (str(member.ports[name]) for name in self.ports)
        return (sys.executable, "code/talker.py", member.host, *ports)

    def files(self, member: RemoteMember) -> Mapping[str, str | bytes | Path]:
        return {"code/talker.py": TALKER, "name.txt": member.name}


async def said(system: Remote, member: str, do: str, **fields: object) -> str:
    """The answer of `member` to a command, on a connection of its own."""
    place, there = system.places[member], system.places["n2" if member == "n1" else "n1"]
    command = {"do": do, "name": "a", "host": there.host, "port": there.ports["peer"], **fields}
    reader, writer = await asyncio.open_connection(place.host, place.ports["control"])
    try:
        writer.write(json.dumps(command).encode() + b"\n")
        return str(json.loads(await asyncio.wait_for(reader.readline(), 20))["text"])
    finally:
        writer.close()


@needs_hosts
def test_members_on_hosts_start_with_their_files_and_have_faults(tmp_path: Path) -> None:
    async def main() -> None:
        async with ssh_hosts(tmp_path / "ssh", 2) as options:
            system = Remote(
                members=("n1", "n2"), folder=tmp_path / "run",
                options=Options(system_options=options),
            )
            try:
                await system.start()
                folder = Path(system.places["n1"].folder)
                assert (folder / "name.txt").read_text() == "n1"
                await _faults(system)
            finally:
                await system.stop()
            assert not folder.parent.exists()
            assert "marker" in system.log_path("n1").read_text()

    asyncio.run(asyncio.wait_for(main(), 90))


async def _faults(system: Remote) -> None:
    in_force, random = FaultsInForce(system), Random(1)
    assert await said(system, "n1", "dial") == "ok"
    cut = await inject(Partition("isolate", on=("n1",)), in_force, random)
    assert await said(system, "n1", "ping") == "reset"
    assert await said(system, "n1", "dial") in ("refused", "reset")
    await _has_effect(cut.effect)
    await cut.undo()
    assert await said(system, "n1", "dial") == "ok"
    lossy = await inject(PacketLoss(percent=100.0, on=("n1",)), in_force, random)
    assert await said(system, "n1", "ping", timeout_s=0.4) == "timeout"
    await _has_effect(lossy.effect)
    await lossy.undo()
    assert await said(system, "n1", "read") == "ok"
    with pytest.raises(SystemFailed, match="not delay"):
        await in_force.set_links({("n1", "n2"): LinkState(delay_ms=1)})
    paused = await inject(Pause(on=("n2",)), in_force, random)
    assert await said(system, "n1", "ping", timeout_s=0.4) == "timeout"
    await paused.undo()
    assert await said(system, "n1", "read") == "ok"
    killed = await inject(Kill(on=("n1",)), in_force, random)
    assert not system.alive("n1")
    assert system.ended_by_themselves() == ()
    await killed.undo()
    async with asyncio.timeout(20):
        while not await system.is_healthy("n1"):
            await asyncio.sleep(0.05)
    with pytest.raises(json.JSONDecodeError):
        await said(system, "n1", "end")
    async with asyncio.timeout(10):
        while not system.ended_by_themselves():
            await asyncio.sleep(0.05)
    (crash,) = system.ended_by_themselves()
    assert (crash.member, crash.how) == ("n1", "exit code 7")


async def _has_effect(effect: object) -> None:
    assert callable(effect)
    async with asyncio.timeout(10):
        while not effect():
            await asyncio.sleep(0.05)


START_AND_WAIT = """
import asyncio, json, sys
from pathlib import Path
from splitbrain.harness.schedule.options import Options
from tests.conformance.test_hosts import Remote

async def main():
    options = Options(system_options=json.loads(sys.argv[2]))
    system = Remote(members=("n1",), folder=Path(sys.argv[1]), options=options)
    await system.start()
    print(system.places["n1"].folder.parent, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@needs_hosts
def test_nothing_is_left_on_a_host_if_the_harness_is_killed(tmp_path: Path) -> None:
    async def main() -> None:
        async with ssh_hosts(tmp_path / "ssh", 1) as options:
            child = subprocess.Popen(
                (sys.executable, "-c", START_AND_WAIT, str(tmp_path), json.dumps(options)),
                env=python_env(), stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
            )
            try:
                assert child.stdout is not None
                line = await asyncio.to_thread(child.stdout.readline)
                folder = Path(line.decode().strip())
                (pid_file,) = folder.glob("*.pid")
                pid = pid_file.read_text().strip()
                assert Path("/proc", pid).exists()
                child.send_signal(signal.SIGKILL)
                async with asyncio.timeout(20):
                    while folder.exists() or Path("/proc", pid).exists():
                        await asyncio.sleep(0.05)
            finally:
                child.kill()
                child.communicate()

    asyncio.run(asyncio.wait_for(main(), 60))


@needs_hosts
def test_a_host_that_refuses_the_login_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        async with ssh_hosts(tmp_path / "ssh", 1) as options:
            options["ssh_key"] = str(tmp_path / "ssh" / "host_key")
            system = Remote(
                members=("n1",), folder=tmp_path / "run", options=Options(system_options=options)
            )
            with pytest.raises(SystemFailed, match="cannot log in to root@198"):
                await system.start()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_the_hosts_are_read_from_the_options_of_the_system() -> None:
    first, second = hosts_of({"hosts": "root@10.0.0.1:2222, db2", "ssh_key": "k", "sudo": 1})
    assert first == Host(address="10.0.0.1", ssh_port=2222, user="root", key="k", sudo=True)
    assert (second.address, second.ssh_port, second.user) == ("db2", 22, "")
    with pytest.raises(BadArguments, match="no hosts are given"):
        hosts_of({})
    with pytest.raises(BadArguments, match="is not USER@ADDRESS"):
        hosts_of({"hosts": "a@b@c"})


def test_faults_that_nftables_cannot_cause_are_refused_before_the_run() -> None:
    options = Options(system=f"{Remote.__module__}:{Remote.__name__}")
    supported = capabilities_of(options)
    assert {"kill", "pause", "partition", "loss", "half_open"} <= supported
    assert not {"latency", "corruption", "slow_receiver"} & supported
