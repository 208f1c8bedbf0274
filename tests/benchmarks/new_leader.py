"""Measures the time from a leader's end until a new one leads, with an election timeout of 1 s.

The leader gets SIGKILL in one half of the turns, and SIGTERM in the other half. Two times are
measured: until the status of a surviving member names another leader, and until a surviving member
acknowledges a put.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from statistics import median

import aiohttp

from splitbrain.harness.clients.member_state import status
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from tests.benchmarks.figure import Figure, load_average
from tests.benchmarks.members import cluster

TURNS = 15
POLL_S = 0.005
LIMIT_S = 20.0
TRY_S = 0.5
"""The time after which a put is given up and sent again."""
SETTLING_S = 2.0
REQUIRED_S = {signal.SIGKILL: 2.0, signal.SIGTERM: 0.2}
PUT = {"key": "a2V5", "value": "dmFsdWU="}


def run() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    found: dict[signal.Signals, list[tuple[float, float]]] = {one: [] for one in REQUIRED_S}
    with tempfile.TemporaryDirectory() as folder:
        system = cluster("ours", Path(folder))
        try:
            await system.start()
            async with aiohttp.ClientSession() as session:
                for _ in range(TURNS):
                    for number, times in found.items():
                        times.append(await _turn(system, session, number))
        finally:
            await system.stop()
    return [_figure(number, times) for number, times in found.items()]


def _figure(number: signal.Signals, times: list[tuple[float, float]]) -> Figure:
    elected = [one for one, _ in times]
    return Figure(
        name=f"new leader after {number.name} of the old one, election timeout 1 s",
        unit="wall s",
        value=median(elected),
        samples=tuple(round(one, 3) for one in elected),
        bound=REQUIRED_S[number],
        bound_kind="at most",
        notes={
            "longest": round(max(elected), 3),
            "until a put is acknowledged": round(median(one for _, one in times), 3),
            "cores": os.cpu_count() or 0,
            "load average": load_average(),
        },
    )


async def _turn(
    system: ProcessCluster, session: aiohttp.ClientSession, number: signal.Signals
) -> tuple[float, float]:
    """End the leader. Returns the seconds until another member leads, and until a put succeeds."""
    leader = await system.leader()
    assert leader is not None, "the cluster has no leader"
    others = [system.address(one).client_url for one in system.members if one != leader]
    old = (await status(session, others[0])).leader
    await _put(session, others[0])
    process = system.pid(leader)
    assert process is not None, "the leader does not run"
    began = time.perf_counter()
    os.kill(process, number)
    elected, acknowledged = await asyncio.gather(
        _first(_names_another(session, url, old) for url in others),
        _first(_put(session, url) for url in others),
    )
    await system.kill(leader)
    await system.restart(leader)
    for member in system.members:
        while not await system.serves(member):
            await asyncio.sleep(POLL_S)
    await asyncio.sleep(SETTLING_S)
    return elected - began, acknowledged - began


async def _first(times: Iterable[Coroutine[None, None, float]]) -> float:
    """The first of the times that the coroutines return."""
    tasks = [asyncio.create_task(one) for one in times]
    async with asyncio.timeout(LIMIT_S):
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return min(task.result() for task in done)


async def _names_another(session: aiohttp.ClientSession, url: str, old: str | int) -> float:
    """The time at which the member's status names a leader that is not `old`."""
    while (await status(session, url)).leader in (0, old):
        await asyncio.sleep(POLL_S)
    return time.perf_counter()


async def _put(session: aiohttp.ClientSession, url: str) -> float:
    """The time at which a put through the member is acknowledged."""
    while True:
        try:
            async with session.post(
                f"{url}/v3/kv/put", json=PUT, timeout=aiohttp.ClientTimeout(total=TRY_S)
            ) as answer:
                if answer.ok:
                    return time.perf_counter()
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(POLL_S)
