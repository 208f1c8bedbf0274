"""The clocks of real members jump and drift under faults, and are right again at the end."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

from splitbrain.nemesis.fault import ClockDrift, ClockJump
from splitbrain.nemesis.injection.all_injectors import inject
from splitbrain.nemesis.linux import process_clock
from tests.conformance.running_cluster import Running, on_a_cluster

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(process_clock.missing()), reason=process_clock.missing() or "-"),
]
HOUR_S = 3_600
_TIME = re.compile(r'"ts":\s*"([^"]+)"')


def ahead_s(running: Running, member: str, begin: int) -> float | None:
    """How far ahead of this process's clock the last line of the member's log is."""
    log: Path = running.system.log_path(member)
    found = _TIME.findall(log.read_bytes()[begin:].decode())
    if not found:
        return None
    return datetime.fromisoformat(found[-1]).timestamp() - datetime.now().timestamp()  # noqa: DTZ005


async def wait_until_ahead(running: Running, expected_s: int) -> None:
    """Let n1 log lines until one of them has a time that is about `expected_s` ahead."""
    # etcd logs that it has lost a connection to a killed peer; our member logs its start.
    killed = "n2" if running.system.name == "etcd" else "n1"
    log = running.system.log_path("n1")
    begin = log.stat().st_size
    async with asyncio.timeout(20):
        while True:
            found = ahead_s(running, "n1", begin)
            if found is not None and abs(found - expected_s) < HOUR_S:
                return
            kill = await running.in_force.stop_members("killed", (killed,))
            await asyncio.sleep(0.3)
            await kill()
            size = log.stat().st_size
            while log.stat().st_size == size:
                await asyncio.sleep(0.05)


@on_a_cluster
async def test_a_jump_moves_the_times_in_a_members_log_also_after_its_restart(
    running: Running,
) -> None:
    system = running.system
    jump = await inject(ClockJump(ahead_ms=10 * HOUR_S * 1_000, on=("n1",)), running.in_force,
                        Random(1))
    await wait_until_ahead(running, 10 * HOUR_S)
    await (await running.in_force.stop_members("killed", ("n1",)))()
    await wait_until_ahead(running, 10 * HOUR_S)
    await jump.undo()
    await wait_until_ahead(running, 0)
    drift = await inject(ClockDrift("all", 300_000), running.in_force, Random(1))
    assert drift.members == system.members
    assert await running.put(await running.leader())
    await running.in_force.release_all()
    for member in system.members:
        process_clock.open_clock(system.pid(member) or 0)  # refuses a clock that is changed
    await running.agreement()
