"""Measures the operations per second that a run drives and records against etcd, without faults.

The benchmark executes a complete `splitbrain run` in a separate process, with a rate that is higher
than a run can reach, and measures its load phase. The peer (`unrecorded_load.py`) sends the
requests of the same schedule to the same members; it records nothing and reads only the status of
an answer. Runs and peers alternate. A third figure of each turn, in the notes, is the rate of
gets and puts of `load.py`, in two processes.
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
from tests.benchmarks.members import ROOT, load, running, urls

CLIENTS = 128
RATE = 8_000.0
TIME_LIMIT_S = 8
TURNS = 3
REQUIRED = 0.85


def run() -> list[Figure]:
    runs: list[dict[str, float]] = []
    peers: list[dict[str, float]] = []
    plain: list[float] = []
    for seed in range(TURNS):
        command = (sys.executable, "-m", "tests.benchmarks.driver", str(seed))
        output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
        runs.append(json.loads(output))
        peers.append(asyncio.run(_without_recording(seed)))
        plain.append(round(asyncio.run(_gets_and_puts()), 1))
    rates = tuple(round(one["rate"], 1) for one in runs)
    peer_rates = tuple(round(one["per_second"], 1) for one in peers)
    return [
        Figure(
            name=f"operations that a run drives and records against etcd, {CLIENTS} clients",
            unit="operations/s",
            value=median(rates),
            samples=rates,
            peer_name="the same requests without recording",
            peer=median(peer_rates),
            peer_samples=peer_rates,
            bound=REQUIRED,
            of="ratio",
            notes={
                "ratio of each turn": ", ".join(
                    f"{rate / peer:.2f}" for rate, peer in zip(rates, peer_rates, strict=True)
                ),
                "gets and puts of load.py per second": median(plain),
                "harness's CPU µs per operation": round(median([one["cpu_us"] for one in runs]), 1),
                "peer's CPU µs per operation": round(median([one["cpu_us"] for one in peers]), 1),
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


def options_of(seed: int, store: str) -> Options:
    """The options of a run. The peer sends the requests of the schedule that they give."""
    return Options(
        system="etcd", workload="register", nemesis=(), nodes=(3,), clients=CLIENTS,
        rate=RATE, time_limit_s=TIME_LIMIT_S, seed=seed, store=store, search_limit_s=1.0,
    )  # fmt: skip


def one_run(seed: int) -> dict[str, float]:
    """Execute a run as `splitbrain run` does.

    Returns the operations per second of its load (`rate`) and the CPU time of this process per
    operation in µs (`cpu_us`).
    """
    with tempfile.TemporaryDirectory() as store:
        cpu_times = _CpuOfLoad()
        result = run_sync(options_of(seed, store), progress=cpu_times, report=False)
    if result.error or result.valid is False:
        raise RuntimeError(f"the run failed, so its rate is not valid: {result.error or 'invalid'}")
    results = result.results
    cpu_s = cpu_times.began_s["heal"] - cpu_times.began_s["load"]
    return {"rate": results.rate, "cpu_us": cpu_s / (results.rate * results.load_s) * 1e6}


async def _without_recording(seed: int) -> dict[str, float]:
    """The summary of `unrecorded_load.py`, which sends the requests of the run with `seed`."""
    with tempfile.TemporaryDirectory() as name:
        async with running("etcd", Path(name)) as system:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.benchmarks.unrecorded_load", str(seed),
                str(await system.leader()),
                *(f"{name}={url}" for name, url in zip(system.members, urls(system), strict=True)),
                cwd=ROOT, stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the peer ended with exit code {process.returncode}")
    summary: dict[str, float] = json.loads(output)
    if summary["failed"]:
        raise RuntimeError(f"{summary['failed']:g} requests failed, so the figure is not valid")
    return summary


async def _gets_and_puts() -> float:
    """The rate of `load.py`: half gets and half puts, in two processes."""
    with tempfile.TemporaryDirectory() as name:
        async with running("etcd", Path(name)) as system:
            puts, gets = await asyncio.gather(
                load(system, "put", CLIENTS // 2, str(TIME_LIMIT_S // 2)),
                load(system, "get", CLIENTS // 2, str(TIME_LIMIT_S // 2)),
            )
    return puts["per_second"] + gets["per_second"]


if __name__ == "__main__":
    print(json.dumps(one_run(int(sys.argv[1]))))
