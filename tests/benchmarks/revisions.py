"""The checker that orders by revisions, reading the files included.

    python -m tests.benchmarks.revisions [--operations N] [--clients C] [--corrupt NAME]
        [--black-box]

A generated history of 32 clients over all keys at once, 1 % of its operations uncertain,
judged by a process of its own: CPU seconds, for wall time depends on who else is at work,
and that process' peak memory. Then how both grow from 100,000 to 1,000,000 operations,
with the members' change log and, for 100,000, as a black box.
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

REQUIRED_CPU_S = 10.0
REQUIRED_MIB = 2048.0
REQUIRED_GROWTH = 11.0
FEW, MANY = 100_000, 1_000_000

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
    "told": [anomaly.because for anomaly in verdict.anomalies],
}))
"""


def judge(path: Path) -> dict[str, float]:
    """By a process of its own, its imports included."""
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE, str(path)], capture_output=True, check=True, text=True
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def measure(
    operations: int, clients: int = 32, seed: int = 1, corrupt: str = "", black_box: bool = False
) -> Figure:
    recipe = Recipe(
        "kv", operations, clients, uncertain=0.01, failing=0.0, seed=seed,
        members=0 if black_box else 1, corrupt=corrupt,
    )
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "kv.jsonl"
        generate_file(path, recipe)
        told = judge(path)
        size_mib = round(path.stat().st_size / 2**20, 1)
    assert told["valid"] is (not corrupt), told
    bounded = operations == MANY and not black_box
    return Figure(
        name=f"mvcc over {operations:,} operations"
        + (f", {corrupt}" if corrupt else "")
        + (", black box" if black_box else ""),
        unit="CPU s",
        value=round(told["cpu"], 2),
        bound=REQUIRED_CPU_S if bounded else None,
        bound_kind="at most",
        notes={
            "of it reading": round(told["reading"], 2), "wall s": round(told["seconds"], 2),
            "peak MiB": round(told["mib"]), "file MiB": size_mib, "load average": load_average(),
        },
    )


def run() -> list[Figure]:
    few, many, box = measure(FEW), measure(MANY), measure(FEW, black_box=True)
    growth = Figure(
        name=f"mvcc, growth from {FEW:,} to {MANY:,} operations", unit="times",
        value=round(many.value / few.value, 2), bound=REQUIRED_GROWTH, bound_kind="at most",
    )
    memory = Figure(
        name=f"mvcc over {MANY:,} operations, peak memory", unit="MiB",
        value=float(many.notes["peak MiB"]), bound=REQUIRED_MIB, bound_kind="at most",
    )
    return [few, many, growth, memory, box]


def main() -> None:
    parser = argparse.ArgumentParser(description="The checker that orders by revisions.")
    parser.add_argument("--operations", type=int, default=FEW)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corrupt", default="")
    parser.add_argument("--black-box", action="store_true")
    given = parser.parse_args()
    figure = measure(given.operations, given.clients, given.seed, given.corrupt, given.black_box)
    print(f"{figure.name}: {figure.value} {figure.unit}  {figure.notes}")


if __name__ == "__main__":
    main()
