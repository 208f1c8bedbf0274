"""Measures how fast a run drives and records operations against a server that stores nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import cast

import uvloop
from msgspec.structs import replace

from splitbrain.harness.clients.json_client import open_clients
from splitbrain.harness.drawing.schedule_drawing import draw_for
from splitbrain.harness.drive.load import Load
from splitbrain.harness.drive.member_choice import LeaderPoll
from splitbrain.harness.drive.sessions import Sessions
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.system import Address, System
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.histories.recorder import Recorder
from tests.benchmarks.figure import Figure, load_average
from tests.benchmarks.members import ROOT

CLIENTS = 128
OPERATIONS = 30_000
TURNS = 3


class _OneAddress:
    """A system whose members all have the same address."""

    def __init__(self, url: str) -> None:
        self._address = Address("n1", url, url)

    def address(self, _member: str) -> Address:
        return self._address


def run() -> list[Figure]:
    options = Options(
        workload="register", nemesis=(), nodes=(3,), clients=CLIENTS,
        # All operations are due at once; `time_limit_ms` below gives them time to finish.
        rate=OPERATIONS * 1_000, time_limit_s=0.001,
    )  # fmt: skip
    full_schedule = draw_for(options, make_workload(options.workload, {}))
    schedule = replace(full_schedule, faults=(), time_limit_ms=600_000)
    command = (sys.executable, "-m", "tests.benchmarks.null_store")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as store:
        assert store.stdout is not None
        try:
            system = _OneAddress(f"http://127.0.0.1:{int(store.stdout.readline())}")
            measured = [uvloop.run(_drive(schedule, cast("System", system))) for _ in range(TURNS)]
        finally:
            store.kill()
    rates = tuple(round(rate, 1) for rate, _ in measured)
    return [
        Figure(
            name=f"operations that a run drives and records against no store, {CLIENTS} clients",
            unit="operations/s",
            value=median(rates),
            samples=rates,
            notes={
                "CPU µs per operation": round(median([cpu_us for _, cpu_us in measured]), 1),
                "load average": load_average(),
            },
        )
    ]


async def _drive(schedule: Schedule, system: System) -> tuple[float, float]:
    """Run the load; returns operations per second, and CPU µs per operation."""
    with tempfile.TemporaryDirectory() as name, Recorder(Path(name) / "history.jsonl") as recorder:
        async with open_clients(10_000) as client:
            leader = LeaderPoll(system)
            leader.name = "n2"
            sessions = Sessions(system=system, clients=client, recorder=recorder)
            load = Load(schedule=schedule, sessions=sessions, leader=leader)
            began_s, cpu_began_s = time.perf_counter(), time.process_time()
            await load.run()
            seconds, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_began_s
    done = load.counts.outcomes["ok"]
    if done != load.counts.begun:
        raise RuntimeError(f"not all operations succeeded: {dict(load.counts.outcomes)}")
    return done / seconds, cpu_s / done * 1e6
