"""Transactions judged by cycles, reading their file included.

    python -m tests.benchmarks.transactions [--transactions N] [--clients C] [--corrupt KIND]

CPU seconds and the peak memory of a process of its own for each size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from splitbrain.harness.synthetic.append import generate_append
from splitbrain.harness.synthetic.append_corruptions import APPEND_CORRUPTIONS, corrupt_append
from splitbrain.histories.formats.transactions import write_transactions
from tests.benchmarks.figure import Figure, load_average

REQUIRED_S = {100_000: 3.0, 1_000_000: 30.0}

_JUDGE = """
import json, resource, sys, time
from pathlib import Path
began, cpu = time.perf_counter(), time.process_time()
from splitbrain.checkers.transactions import check_transactions
from splitbrain.histories.formats.transactions import read_transactions
transactions = read_transactions(Path(sys.argv[1]))
reading = time.process_time() - cpu
verdict = check_transactions(transactions, "strict-serializable")
print(json.dumps({
    "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu,
    "reading": reading, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "valid": verdict.valid, "why": verdict.why, "kinds": [one.kind for one in verdict.anomalies],
}))
"""


def judge(path: Path) -> dict[str, object]:
    """By a process of its own, its imports included."""
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE, str(path)], capture_output=True, check=True, text=True
    )
    told: dict[str, object] = json.loads(done.stdout)
    return told


def measure(transactions: int, clients: int = 32, seed: int = 0, corrupt: str = "") -> Figure:
    made = generate_append(transactions, clients, seed=seed)
    if corrupt:
        corrupted = corrupt_append(made, corrupt, seed)
        assert corrupted is not None, f"no occasion for {corrupt}"
        made = corrupted
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "history.jsonl"
        write_transactions(path, made)
        del made
        told = judge(path)
        size_mib = round(path.stat().st_size / 2**20, 1)
    assert told["valid"] is (not corrupt), told
    return Figure(
        name=f"list-append, {transactions:,} transactions" + (f", {corrupt}" if corrupt else ""),
        unit="s",
        value=round(float(str(told["seconds"])), 2),
        bound=REQUIRED_S.get(transactions),
        bound_kind="at most",
        notes={
            "CPU s": round(float(str(told["cpu"])), 2),
            "of them reading": round(float(str(told["reading"])), 2),
            "peak MiB": round(float(str(told["mib"]))),
            "file MiB": size_mib,
            "load average": load_average(),
        },
    )


def run() -> list[Figure]:
    return [measure(transactions) for transactions in REQUIRED_S]


def main() -> None:
    parser = argparse.ArgumentParser(description="How long judging transactions takes.")
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corrupt", choices=sorted(APPEND_CORRUPTIONS), default="")
    given = parser.parse_args()
    figure = measure(given.transactions, given.clients, given.seed, given.corrupt)
    print(f"{figure.name}: {figure.value} s", figure.notes)


if __name__ == "__main__":
    main()
