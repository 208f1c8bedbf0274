"""Operations per second that a run drives and records against etcd, without faults.

The benchmark executes a complete `splitbrain run` in a separate process, with a rate that is
higher than a run can reach, and measures its load phase. The peer is the load generator of
this folder (`load.py`) with as many connections. It records and checks nothing, so its rate
is the highest that etcd serves on this machine.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from splitbrain.harness.drive.progress import Silent, Snapshot
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import Options
from tests.benchmarks.figure import Figure, load_average
from tests.benchmarks.members import ROOT, load, running

CLIENTS = 128
RATE = 8_000.0
TIME_LIMIT_S = 8
TURNS = 3
REQUIRED = 2_000.0


def run() -> list[Figure]:
    runs: list[dict[str, float]] = []
    peer_rates: list[float] = []
    for seed in range(TURNS):
        command = (sys.executable, "-m", "tests.benchmarks.driver", str(seed))
        output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
        runs.append(json.loads(output))
        peer_rates.append(round(asyncio.run(_load_only()), 1))
    rates = tuple(one["rate"] for one in runs)
    return [
        Figure(
            name=f"operations that a run drives and records against etcd, {CLIENTS} clients",
            unit="operations/s",
            value=median(rates),
            samples=rates,
            peer_name="load without recording",
            peer=median(peer_rates),
            peer_samples=tuple(peer_rates),
            bound=REQUIRED,
            notes={
                "harness's CPU µs per operation": round(median([one["cpu_us"] for one in runs]), 1),
                "load average": load_average(),
            },
        )
    ]


class _CpuOfLoad(Silent):
    """Records the CPU time of this process, in seconds, at the start of each phase."""

    def __init__(self) -> None:
        self.began_s: dict[str, float] = {}

    def show(self, snapshot: Snapshot) -> None:
        self.began_s.setdefault(snapshot.phase, time.process_time())


def one_run(seed: int) -> dict[str, float]:
    """Execute a run as `splitbrain run` does.

    Returns the operations per second of its load (`rate`) and the CPU time of this process per
    operation in µs (`cpu_us`).
    """
    with tempfile.TemporaryDirectory() as store:
        options = Options(
            system="etcd", workload="register", nemesis=(), nodes=(3,), clients=CLIENTS,
            rate=RATE, time_limit_s=TIME_LIMIT_S, seed=seed, store=store,
            search_limit_s=1.0,
        )  # fmt: skip
        cpu_times = _CpuOfLoad()
        result = run_sync(options, progress=cpu_times, report=False)
    if result.error or result.valid is False:
        raise RuntimeError(f"the run failed, so its rate is not valid: {result.error or 'invalid'}")
    results = result.results
    cpu_s = cpu_times.began_s["heal"] - cpu_times.began_s["load"]
    return {"rate": results.rate, "cpu_us": cpu_s / (results.rate * results.load_s) * 1e6}


async def _load_only() -> float:
    """The rate of `load.py`: half gets and half puts, as in the workload."""
    with tempfile.TemporaryDirectory() as name:
        async with running("etcd", Path(name)) as system:
            puts, gets = await asyncio.gather(
                load(system, "put", CLIENTS // 2, str(TIME_LIMIT_S // 2)),
                load(system, "get", CLIENTS // 2, str(TIME_LIMIT_S // 2)),
            )
    return puts["per_second"] + gets["per_second"]


if __name__ == "__main__":
    print(json.dumps(one_run(int(sys.argv[1]))))
