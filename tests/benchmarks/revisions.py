"""Measures CPU time and memory of the checker `mvcc`, including the reading of the history.

    python -m tests.benchmarks.revisions [--operations N] [--clients C] [--uncertain SHARE]
        [--corrupt NAME] [--black-box]

The history is generated: 32 clients use all keys, and 1 % of the operations have an unknown
outcome. A separate process reads and judges it. The benchmark measures the CPU time of that
process, because wall time depends on other processes, and its peak memory. It judges 100,000 and
1,000,000 operations with a member's change log, compares the two times, and judges histories
without any member's state (black box), in which it must search for the writers of revisions. It
also judges 300,000 operations of which half have an unknown outcome.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from splitbrain.harness.synthetic.generator import Recipe, generate_file
from tests.benchmarks.figure import Figure, load_average

REQUIRED_CPU_S = 8.0
REQUIRED_MIB = 1228.8
REQUIRED_GROWTH = 11.0
REQUIRED_UNCERTAIN_CPU_S = 8.0
REQUIRED_SEARCH_CPU_S = 20.0
BLACK_BOXES = ((100_000, 32, 0.1), (30_000, 128, 0.2), (300_000, 1000, 0.01))
"""Histories without members' states: operations, clients, share with an unknown outcome."""
FEW, SOME, MANY = 100_000, 300_000, 1_000_000

_JUDGE = """
import json, resource, sys, time
from pathlib import Path
began, cpu = time.perf_counter(), time.process_time()
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.mvcc.checker import check_mvcc
from splitbrain.histories.sidecar import read_members
from splitbrain.histories.history import History
path = Path(sys.argv[1])
evidence = Evidence(History.read(path), read_members(path))
reading = time.process_time() - cpu
verdict = check_mvcc(evidence)
print(json.dumps({
    "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu,
    "reading": reading, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "valid": verdict.valid, "why": verdict.why,
    "anomalies": [anomaly.because for anomaly in verdict.anomalies],
}))
"""


def judge(path: Path) -> dict[str, float]:
    """Read and judge `path` in a separate process; its CPU time includes the imports."""
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE, str(path)], capture_output=True, check=True, text=True
    )
    judged: dict[str, float] = json.loads(done.stdout)
    return judged


def measure(
    operations: int,
    *,
    clients: int = 32,
    seed: int = 1,
    uncertain: float = 0.01,
    corrupt: str = "",
    black_box: bool = False,
    bound: float | None = None,
) -> Figure:
    recipe = Recipe(
        "kv", operations, clients, uncertain=uncertain, failing=0.0, seed=seed,
        members=0 if black_box else 1, corrupt=corrupt,
    )
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "kv.jsonl"
        generate_file(path, recipe)
        judged = judge(path)
        size_mib = round(path.stat().st_size / 2**20, 1)
    assert judged["valid"] is (not corrupt), judged
    return Figure(
        name=f"checker mvcc, {operations:,} operations"
        + (f", {clients} clients" if clients != 32 else "")
        + (f", {uncertain:.0%} uncertain" if uncertain != 0.01 else "")
        + (f", {corrupt}" if corrupt else "")
        + (", without members' states" if black_box else ""),
        unit="CPU s",
        value=round(judged["cpu"], 2),
        bound=bound,
        bound_kind="at most",
        notes={
            "CPU s to read the file": round(judged["reading"], 2),
            "wall s": round(judged["seconds"], 2),
            "peak MiB": round(judged["mib"]), "file MiB": size_mib, "load average": load_average(),
        },
    )


def run() -> list[Figure]:
    few, many = measure(FEW), measure(MANY, bound=REQUIRED_CPU_S)
    half = measure(SOME, uncertain=0.5, bound=REQUIRED_UNCERTAIN_CPU_S)
    box = measure(FEW, black_box=True)
    growth = Figure(
        name=f"checker mvcc, CPU time of {MANY:,} operations / of {FEW:,}", unit="ratio",
        value=round(many.value / few.value, 2), bound=REQUIRED_GROWTH, bound_kind="at most",
    )
    memory = Figure(
        name=f"checker mvcc, {MANY:,} operations, peak memory", unit="MiB",
        value=float(many.notes["peak MiB"]), bound=REQUIRED_MIB, bound_kind="at most",
    )
    searched = [
        measure(
            operations, clients=clients, uncertain=uncertain, black_box=True,
            bound=REQUIRED_SEARCH_CPU_S,
        )
        for operations, clients, uncertain in BLACK_BOXES
    ]
    return [few, many, growth, memory, half, box, *searched]


def main() -> None:
    description = "Measure the checker `mvcc` on a generated history."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--operations", type=int, default=FEW)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--uncertain", type=float, default=0.01)
    parser.add_argument("--corrupt", default="")
    parser.add_argument("--black-box", action="store_true")
    arguments = parser.parse_args()
    figure = measure(
        arguments.operations, clients=arguments.clients, seed=arguments.seed,
        uncertain=arguments.uncertain, corrupt=arguments.corrupt, black_box=arguments.black_box,
    )
    print(f"{figure.name}: {figure.value} {figure.unit}  {figure.notes}")


if __name__ == "__main__":
    main()
