"""An operator moves the leadership of three members, loads them with etcdctl, and stops one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path

import pytest
import requests

from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.etcd_like.python_node import PythonNode
from tests.conformance.server_pair import etcd_binary

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.etcd,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`"),
]
PATIENCE_S = 30
LOAD_S = 2
PUTS = re.compile(
    r'^grpc_server_handled_total\{grpc_code="(\w+)",grpc_method="Put",.*\} (\d+)', re.MULTILINE
)


def client_urls(system: ProcessCluster) -> str:
    return ",".join(system.address(name).client_url for name in system.members)


async def etcdctl(system: ProcessCluster, *arguments: str) -> asyncio.subprocess.Process:
    program = etcd_binary()
    assert program is not None
    return await asyncio.create_subprocess_exec(
        str(Path(program).with_name("etcdctl")), f"--endpoints={client_urls(system)}", *arguments,
        stdout=asyncio.subprocess.PIPE, env={"ETCDCTL_API": "3"},
    )  # fmt: skip


async def move_the_leadership(system: ProcessCluster) -> None:
    """Move the leadership with `etcdctl move-leader`, and check the answer and the effect."""
    before = await system.leader()
    target = next(name for name in system.members if name != before)
    listing = await etcdctl(system, "member", "list", "--write-out=json")
    members = json.loads((await listing.communicate())[0])["members"]
    (target_id,) = [int(one["ID"]) for one in members if one["name"] == target]
    moving = await etcdctl(system, "move-leader", f"{target_id:x}")
    text = (await moving.communicate())[0].decode()
    assert re.fullmatch(rf"Leadership transferred from [0-9a-f]+ to {target_id:x}\n", text)
    async with asyncio.timeout(PATIENCE_S):
        while await system.leader() != target:
            await asyncio.sleep(0.02)


async def puts_by_code(system: ProcessCluster) -> dict[str, int]:
    """How many puts the members have answered over gRPC, by the code of the answer."""
    counts: dict[str, int] = {}
    for name in system.members:
        url = f"{system.address(name).client_url}/metrics"
        answer = await asyncio.to_thread(requests.get, url, timeout=PATIENCE_S)
        for code, number in PUTS.findall(answer.text):
            if int(number):
                counts[code] = counts.get(code, 0) + int(number)
    return counts


async def load_by_check_perf(system: ProcessCluster) -> None:
    """Run `etcdctl check perf` for a part of its minute, and check that its puts succeed."""
    running = await etcdctl(system, "check", "perf", "--load=s")
    await asyncio.sleep(LOAD_S)
    async with asyncio.timeout(PATIENCE_S):
        while (await puts_by_code(system)).get("OK", 0) < 50:
            await asyncio.sleep(0.1)
    assert running.returncode is None
    assert (await puts_by_code(system)).keys() == {"OK"}
    running.kill()
    await running.communicate()


async def stop_the_leader(system: ProcessCluster) -> None:
    """Stop the leader by SIGTERM, and check that it stays until another member is the leader."""
    leader = await system.leader()
    assert leader is not None
    pid = system.pid(leader)
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_S):
        while await system.leader() in (None, leader):
            await asyncio.sleep(0.02)
    new = await system.leader()
    lines = [json.loads(line) for line in system.log_path(leader).read_text().splitlines()]
    (stopping,) = [at for at, line in enumerate(lines) if line["msg"] == "stopping"]
    later = [line["leader"] for line in lines[stopping:] if line["msg"] == "role changed"]
    assert later[-1:] == [new], "the member knew the new leader before it stopped"


def test_the_leadership_moves_puts_succeed_and_a_stopped_leader_hands_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        system = PythonNode(
            ClusterSettings(
                members=("n1", "n2", "n3"), folder=tmp_path, heartbeat_ms=100, election_ms=1000,
                proxied=False,
            )
        )
        try:
            await system.start()
            await move_the_leadership(system)
            await load_by_check_perf(system)
            await stop_the_leader(system)
        finally:
            await system.stop()

    asyncio.run(scenario())
