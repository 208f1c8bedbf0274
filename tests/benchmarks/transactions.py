"""Measures the time to read a file of list-append transactions and to search it for cycles.

    python -m tests.benchmarks.transactions [--transactions N] [--clients C] [--corrupt KIND]

Each size is read and judged in a separate process. The figure is its wall time; the notes contain
its CPU time and peak memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from splitbrain.harness.synthetic.transaction_corruptions import APPEND_CORRUPTIONS, corrupt_append
from splitbrain.harness.synthetic.transactions import generate_append
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
    """Read and judge `path` in a separate process; its times include the imports."""
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE, str(path)], capture_output=True, check=True, text=True
    )
    judged: dict[str, object] = json.loads(done.stdout)
    return judged


def measure(transactions: int, clients: int = 32, seed: int = 0, corrupt: str = "") -> Figure:
    history = generate_append(transactions, clients, seed=seed)
    if corrupt:
        corrupted = corrupt_append(history, corrupt, seed)
        assert corrupted is not None, f"the history contains nothing to corrupt by {corrupt}"
        history = corrupted
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "history.jsonl"
        write_transactions(path, history)
        del history
        judged = judge(path)
        size_mib = round(path.stat().st_size / 2**20, 1)
    assert judged["valid"] is (not corrupt), judged
    return Figure(
        name=f"checker transactions, {transactions:,} list-append transactions"
        + (f", {corrupt}" if corrupt else ""),
        unit="wall s",
        value=round(float(str(judged["seconds"])), 2),
        bound=REQUIRED_S.get(transactions),
        bound_kind="at most",
        notes={
            "CPU s": round(float(str(judged["cpu"])), 2),
            "CPU s to read the file": round(float(str(judged["reading"])), 2),
            "peak MiB": round(float(str(judged["mib"]))),
            "file MiB": size_mib,
            "load average": load_average(),
        },
    )


def run() -> list[Figure]:
    return [measure(transactions) for transactions in REQUIRED_S]


def main() -> None:
    description = "Measure the checker `transactions` on a generated history."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corrupt", choices=sorted(APPEND_CORRUPTIONS), default="")
    arguments = parser.parse_args()
    figure = measure(arguments.transactions, arguments.clients, arguments.seed, arguments.corrupt)
    print(f"{figure.name}: {figure.value} s", figure.notes)


if __name__ == "__main__":
    main()
