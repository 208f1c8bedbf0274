"""Proxies and network namespaces have the same behaviour, which this file states once.

Member n1 dials member n2, sends bytes, and reads them back.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Literal

import pytest

from splitbrain import LinkState, LocalMember, Partition, ProxiedProcesses
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.etcd_like.python_node import PythonNode
from splitbrain.harness.systems.networks.network import NAMESPACES
from splitbrain.harness.systems.processes.member_process import python_env
from splitbrain.nemesis.capabilities import NORMAL
from splitbrain.nemesis.injection.all_injectors import inject
from splitbrain.nemesis.linux import namespaces
from splitbrain.nemesis.linux.undo_journal import undo_leftovers
from tests.conformance.running_cluster import cluster

needs_namespaces = pytest.mark.skipif(bool(namespaces.missing()), reason=namespaces.missing())
TALKER = Path(__file__).with_name("talker.py")
CUT, HOLE = LinkState(open=False), LinkState(black_hole=True)


class Talkers(ProxiedProcesses):
    ports = ("control", "peer")
    proxied = ("peer",)

    def command(self, member: LocalMember) -> tuple[str, ...]:
        ports = (str(member.ports[name]) for name in self.ports)
        return (sys.executable, str(TALKER), member.host, *ports)


class Talk:
    """Lets n1 talk to n2. `link` sets the link from n1 to n2, `back` its opposite."""

    def __init__(self, system: Talkers) -> None:
        self.system = system
        self.namespaces = system.options.network == "namespaces"

    async def connect(self) -> None:
        place = self.system.places["n1"]
        self._reader, self._writer = await asyncio.open_connection(
            place.host, place.ports["control"]
        )

    async def do(self, do: str, name: str = "a", **fields: object) -> tuple[str, float]:
        there = self.system.places["n2"]
        command = {
            "do": do, "name": name, "host": there.host, "port": there.dialled["peer"], **fields,
        }
        self._writer.write(json.dumps(command).encode() + b"\n")
        answer = json.loads(await asyncio.wait_for(self._reader.readline(), 30))
        return str(answer["text"]), float(answer["s"])

    async def text(self, do: str, name: str = "a", **fields: object) -> str:
        return (await self.do(do, name, **fields))[0]

    async def set(self, link: LinkState = NORMAL, back: LinkState = NORMAL) -> None:
        await self.system.set_link("n1", "n2", link)
        await self.system.set_link("n2", "n1", back)

    def changed(self) -> int:
        return self.system.link_effects("n1", "n2") + self.system.link_effects("n2", "n1")


async def a_cut_both_ways_breaks_connections_and_refuses_new_ones(talk: Talk) -> None:
    await talk.set(CUT, CUT)
    assert await talk.text("ping") == "reset"
    assert await talk.text("dial", "b") in ("refused", "reset")
    assert talk.changed()


async def a_cut_one_way_holds_bytes_back(talk: Talk) -> None:
    await talk.set(CUT)
    await _holds_bytes_back(talk)


async def a_black_hole_holds_bytes_back_and_keeps_the_connection(talk: Talk) -> None:
    await talk.set(HOLE, HOLE)
    await _holds_bytes_back(talk)


async def _holds_bytes_back(talk: Talk) -> None:
    assert await talk.text("ping", timeout_s=0.3) == "timeout"
    await talk.set()
    assert await talk.text("read") == "ok"


async def an_answer_is_held_back_if_only_the_way_back_is_closed(talk: Talk) -> None:
    await talk.set(NORMAL, HOLE)
    await _holds_bytes_back(talk)


async def a_delay_applies_in_one_direction(talk: Talk) -> None:
    await talk.set(LinkState(delay_ms=150))
    text, took_s = await talk.do("ping")
    assert text == "ok"
    assert took_s >= 0.15
    assert talk.changed()


async def a_rate_limits_the_bytes_per_second(talk: Talk) -> None:
    await talk.set(LinkState(rate_bytes_per_s=50_000))
    text, took_s = await talk.do("ping", size=30_000, timeout_s=10.0)
    assert text == "ok"
    assert took_s >= 0.45


async def lost_packets_are_sent_again(talk: Talk) -> None:
    before = talk.changed()
    await talk.set(LinkState(lost_percent=25.0), LinkState(lost_percent=25.0))
    for _ in range(100):
        assert await talk.text("ping", timeout_s=25.0) == "ok"
        if talk.changed() > before:
            return
    pytest.fail("no packet was lost")


async def a_corrupted_packet_reaches_the_process(talk: Talk) -> None:
    await talk.set(LinkState(corrupt_percent=100.0))
    assert await talk.text("ping") == "changed"
    assert talk.changed()


async def a_connection_that_the_peer_has_lost_is_silent_until_the_fault_ends(talk: Talk) -> None:
    await talk.set(NORMAL, LinkState(half_open=True))
    assert await talk.text("ping", timeout_s=0.3) == "timeout"
    assert await talk.text("dial", "b") == "ok"
    assert await talk.text("ping", "b") == "ok"
    assert talk.changed()
    await talk.set()
    assert await talk.text("ping", timeout_s=10.0) == "reset"
    assert await talk.text("ping", "b") == "ok"


async def a_connection_that_a_member_has_lost_is_reset_at_its_end(talk: Talk) -> None:
    await talk.set(LinkState(half_open=True))
    assert await talk.text("ping") == "reset"
    assert await talk.text("dial", "b") == "ok"


async def a_slow_receiver_delays_the_bytes_that_it_gets(talk: Talk) -> None:
    await talk.set(LinkState(rate_bytes_per_s=20_000, buffer_bytes_max=4_096))
    text, took_s = await talk.do("ping", size=12_000, timeout_s=20.0)
    assert text == "ok"
    assert took_s >= 0.3


BEHAVIOURS: tuple[Callable[[Talk], Awaitable[None]], ...] = (
    a_cut_both_ways_breaks_connections_and_refuses_new_ones,
    a_cut_one_way_holds_bytes_back,
    a_black_hole_holds_bytes_back_and_keeps_the_connection,
    an_answer_is_held_back_if_only_the_way_back_is_closed,
    a_delay_applies_in_one_direction,
    a_rate_limits_the_bytes_per_second,
    lost_packets_are_sent_again,
    a_corrupted_packet_reaches_the_process,
    a_connection_that_the_peer_has_lost_is_silent_until_the_fault_ends,
    a_connection_that_a_member_has_lost_is_reset_at_its_end,
    a_slow_receiver_delays_the_bytes_that_it_gets,
)


@pytest.mark.parametrize("network", [
    "loopback", pytest.param("namespaces", marks=needs_namespaces),
])
def test_links_of_both_networks_behave_in_the_same_way(
    network: Literal["loopback", "namespaces"], tmp_path: Path
) -> None:
    async def main() -> None:
        system = Talkers(
            members=("n1", "n2"), folder=tmp_path, options=Options(seed=1, network=network)
        )
        try:
            await system.start()
            talk = Talk(system)
            await talk.connect()
            for behaviour in BEHAVIOURS:
                try:
                    assert await talk.text("dial") == "ok"
                    await behaviour(talk)
                    await talk.set()
                    assert await talk.text("dial") == "ok", "the fault is healed"
                except BaseException as problem:
                    problem.add_note(f"while {behaviour.__name__}")
                    raise
        finally:
            await system.stop()

    asyncio.run(asyncio.wait_for(main(), 120))
    assert not _namespaces_of(os.getpid())


@needs_namespaces
def test_members_in_namespaces_can_be_cut_off_from_their_clients(tmp_path: Path) -> None:
    async def main() -> None:
        system = Talkers(
            members=("n1", "n2"), folder=tmp_path, options=Options(network="namespaces")
        )
        try:
            await system.start()
            talk = Talk(system)
            await talk.connect()
            for link in (("clients", "n1"), ("n1", "clients")):
                await system.set_link(*link, CUT)
            with pytest.raises(OSError, match="Connect call failed"):
                await talk.connect()
            for link in (("clients", "n1"), ("n1", "clients")):
                await system.set_link(*link, NORMAL)
            await talk.connect()
            assert await talk.text("dial") == "ok"
        finally:
            await system.stop()

    asyncio.run(asyncio.wait_for(main(), 60))


@needs_namespaces
def test_a_cluster_in_namespaces_replaces_a_leader_that_is_cut_off(tmp_path: Path) -> None:
    async def main() -> None:
        async with cluster(PythonNode, tmp_path, network=NAMESPACES) as running:
            old = await running.leader()
            assert await running.put(old)
            cut = await inject(Partition("isolate_leader"), running.in_force, Random(1))
            new = await running.leader(other_than=old)
            assert await running.put(new)
            assert not await running.put(old, timeout_s=0.5)
            assert cut.effect()
            await cut.undo()
            await running.agreement()
            apart = await inject(Partition("clients", on=(new,)), running.in_force, Random(1))
            assert not await running.put(new, timeout_s=0.5)
            await apart.undo()
            await running.agreement()

    asyncio.run(asyncio.wait_for(main(), 90))


START_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from splitbrain.harness.systems.networks.namespaces import Namespaces

async def main():
    await Namespaces(seed=1, log=Path(sys.argv[1])).start(("n1",))
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@needs_namespaces
def test_the_next_run_removes_the_namespaces_of_a_killed_run(tmp_path: Path) -> None:
    child = subprocess.Popen(
        (sys.executable, "-c", START_AND_WAIT, str(tmp_path / "log")), env=python_env(),
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert len(_namespaces_of(child.pid)) == 2
        child.send_signal(signal.SIGKILL)
        child.wait()
        undo_leftovers()
        assert not _namespaces_of(child.pid)
        devices = [path.name for path in Path("/sys/class/net").glob(f"sb{child.pid}-*")]
        assert devices == []
    finally:
        child.kill()
        child.communicate()


def _namespaces_of(pid: int) -> list[Path]:
    return list(namespaces.FOLDER.glob(f"splitbrain-{pid}-*"))
