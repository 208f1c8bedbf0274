"""Operations a second that the clients of a run drive and record, if no store limits them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

import uvloop
from msgspec.structs import replace

from splitbrain.harness.clients.json_client import open_clients
from splitbrain.harness.drawing.draw import draw_for
from splitbrain.harness.drive.load import Load
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.system import Address, System
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.histories.recorder import Recorder
from tests.benchmarks.figure import Figure, load_average, middle
from tests.benchmarks.members import ROOT

CLIENTS = 128
OPERATIONS = 30_000
TURNS = 3


class _Everywhere:
    """All members of the plan at one address."""

    def __init__(self, url: str) -> None:
        self._address = Address("n1", url, url)

    def address(self, _member: str) -> Address:
        return self._address


def run() -> list[Figure]:
    options = Options(
        workload="register", nemesis=(), nodes=(3,), clients=CLIENTS,
        # Due at once, all of them, and time enough to be done.
        rate=OPERATIONS * 1_000, time_limit_s=0.001,
    )  # fmt: skip
    drawn = draw_for(options, make_workload(options.workload, {}))
    schedule = replace(drawn, faults=(), time_limit_ms=600_000)
    command = (sys.executable, "-m", "tests.benchmarks.null_store")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as store:
        assert store.stdout is not None
        try:
            system = _Everywhere(f"http://127.0.0.1:{int(store.stdout.readline())}")
            seen = [uvloop.run(_drive(schedule, cast("System", system))) for _ in range(TURNS)]
        finally:
            store.kill()
    rates = tuple(round(rate, 1) for rate, _ in seen)
    return [
        Figure(
            name=f"operations driven and recorded against no store, {CLIENTS} clients",
            unit="/s",
            value=middle(rates),
            samples=rates,
            notes={
                "CPU µs an operation": round(middle([cpu_us for _, cpu_us in seen]), 1),
                "load average": load_average(),
            },
        )
    ]


async def _drive(schedule: Schedule, system: System) -> tuple[float, float]:
    """Operations/s, and CPU µs for each."""
    with tempfile.TemporaryDirectory() as name, Recorder(Path(name) / "history.jsonl") as recorder:
        async with open_clients(10_000) as client:
            load = Load(schedule, system, client, recorder, lambda: "n2")
            began_s, cpu_began_s = time.perf_counter(), time.process_time()
            await load.run()
            seconds, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_began_s
    done = load.tally.outcomes["ok"]
    if done != load.tally.begun:
        raise RuntimeError(f"not all were answered well: {dict(load.tally.outcomes)}")
    return done / seconds, cpu_s / done * 1e6
