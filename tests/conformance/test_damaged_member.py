"""A member process whose disk has damaged its data recovers from the other members."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
import requests

from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.python_node import PythonNode

pytestmark = pytest.mark.cluster

FLAGS = (
    "--seal-log", "--snapshot-count", "20", "--snapshot-catchup-entries", "5",
    "--wal-segment-bytes", "65536",
)


def zero_the_last_records(data: Path) -> None:
    segment = max((data / "member" / "wal").iterdir())
    content = bytearray(segment.read_bytes())
    end = len(content.rstrip(b"\0"))
    content[end - 1024 : end] = bytes(1024)
    segment.write_bytes(content)


def lose_the_log(data: Path) -> None:
    for segment in (data / "member" / "wal").iterdir():
        segment.unlink()


def lose_a_change(data: Path) -> None:
    environment = lmdb.open(str(data / "member" / "snap" / "db"), map_size=1 << 30, max_dbs=8)
    with environment.begin(write=True) as transaction:
        cursor = transaction.cursor(environment.open_db(b"key", txn=transaction))
        assert cursor.last()
        cursor.delete()
    environment.close()


def overwrite_the_backend(data: Path) -> None:
    file = data / "member" / "snap" / "db" / "data.mdb"
    file.write_bytes(b"\xff" * file.stat().st_size)


async def put(system: PythonNode, member: str, number: int) -> None:
    url = f"{system.address(member).client_url}/v3/kv/put"
    body = {"key": "azE=", "value": f"{number:04}"}
    answer = await asyncio.to_thread(requests.post, url, json=body, timeout=5)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("damage", [
    zero_the_last_records, lose_the_log, lose_a_change, overwrite_the_backend,
])
def test_a_member_with_damaged_data_recovers_from_its_peers(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    async def scenario() -> None:
        system = PythonNode(ClusterSettings(
            members=("n1", "n2", "n3"), folder=tmp_path, heartbeat_ms=50, election_ms=500,
            extra_args=FLAGS,
        ))
        try:
            await system.start()
            damaged = await system.leader()
            assert damaged is not None
            for number in range(70):
                await put(system, damaged, number)
            await system.kill(damaged)
            damage(system.data_path(damaged))
            await system.restart(damaged)
            async with asyncio.timeout(30):
                while True:
                    states = [await system.state(name) for name in system.members]
                    if len({(one.error, one.revision, one.hash) for one in states}) == 1:
                        break
                    await asyncio.sleep(0.1)
            assert (states[0].error, states[0].revision) == (None, 71)
            lines = system.log_path(damaged).read_text().splitlines()
            found = [json.loads(line) for line in lines if "recovering from the leader" in line]
            assert len(found) == 1
            assert found[0]["why"]
        finally:
            await system.stop()

    asyncio.run(scenario())
