"""Operations a second that a run drives and records against etcd, nothing broken.

The whole way of `splitbrain run` (plan, load, quiet, states, judging) in a process of
its own, asked for more than it can do. Beside it the bare load of this folder, on as
many connections, which records and checks nothing: what etcd gives at most here.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from splitbrain.harness.drive.progress import Silent, Snapshot
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import Options
from tests.benchmarks.figure import Figure, load_average, middle
from tests.benchmarks.members import ROOT, load, running

CLIENTS = 128
RATE = 8_000.0
TIME_LIMIT_S = 8
TURNS = 3
REQUIRED = 2_000.0


def run() -> list[Figure]:
    seen: list[dict[str, float]] = []
    bare: list[float] = []
    for seed in range(TURNS):
        command = (sys.executable, "-m", "tests.benchmarks.driver", str(seed))
        told = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
        seen.append(json.loads(told))
        bare.append(round(asyncio.run(_bare()), 1))
    rates = tuple(one["rate"] for one in seen)
    return [
        Figure(
            name=f"operations driven and recorded against etcd, {CLIENTS} clients",
            unit="/s",
            value=middle(rates),
            samples=rates,
            peer_name="load that records nothing",
            peer=middle(bare),
            peer_samples=tuple(bare),
            bound=REQUIRED,
            notes={
                "harness's CPU µs an operation": round(middle([one["cpu_us"] for one in seen]), 1),
                "load average": load_average(),
            },
        )
    ]


class _CpuOfLoad(Silent):
    """CPU time of this process when each phase began."""

    def __init__(self) -> None:
        self.began_s: dict[str, float] = {}

    def show(self, snapshot: Snapshot) -> None:
        self.began_s.setdefault(snapshot.phase, time.process_time())


def one_run(seed: int) -> dict[str, float]:
    """A run as `splitbrain run` does it; operations/s of its load, and CPU µs for each."""
    with tempfile.TemporaryDirectory() as store:
        options = Options(
            system="etcd", workload="register", nemesis=(), nodes=(3,), clients=CLIENTS,
            rate=RATE, time_limit_s=TIME_LIMIT_S, seed=seed, store=store,
            search_limit_s=1.0,
        )  # fmt: skip
        phases = _CpuOfLoad()
        result = run_sync(options, progress=phases, report=False)
    if result.error or result.valid is False:
        raise RuntimeError(f"the run is not what was to be measured: {result.error or 'invalid'}")
    results = result.results
    cpu_s = phases.began_s["heal"] - phases.began_s["load"]
    return {"rate": results.rate, "cpu_us": cpu_s / (results.rate * results.load_s) * 1e6}


async def _bare() -> float:
    """Gets and puts half and half, about as the workload's."""
    with tempfile.TemporaryDirectory() as name:
        async with running("etcd", Path(name)) as made:
            puts, gets = await asyncio.gather(
                load(made, "put", CLIENTS // 2, str(TIME_LIMIT_S // 2)),
                load(made, "get", CLIENTS // 2, str(TIME_LIMIT_S // 2)),
            )
    return puts["per_second"] + gets["per_second"]


if __name__ == "__main__":
    print(json.dumps(one_run(int(sys.argv[1]))))
