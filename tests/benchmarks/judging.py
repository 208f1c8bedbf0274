"""Measures the time of all checkers over a generated run of 100,000 operations.

    python -m tests.benchmarks.judging [--operations N] [--workload kv] [--clients C]

The benchmark generates a valid run (history, members' states, traces of the write path), writes it
to a folder, reads it back as `splitbrain check` does, and judges it. It prints the seconds of each
stage and the peak memory of this process until then.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from splitbrain.checkers import catalogue
from splitbrain.checkers.evidence import Evidence
from splitbrain.harness.synthetic.generator import generate
from splitbrain.harness.synthetic.traces import traces_of
from splitbrain.histories.history import History
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.trace import read_trace
from tests.benchmarks.figure import Figure, load_average

T = TypeVar("T")
NAMES = ("n1", "n2", "n3")
OPERATIONS = 100_000
REQUIRED_S = 60.0


def timed(stage: str, work: Callable[[], T]) -> T:
    """Run `work`, and print its time and the peak memory of the process."""
    began = time.perf_counter()
    result = work()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{stage:32} {time.perf_counter() - began:8.2f} s   peak {peak_mib:6.0f} MiB")
    return result


def write_run(folder: Path, workload: str, operations: int, clients: int, seed: int) -> None:
    generated = generate(workload, operations, clients, seed=seed)
    encode = msgspec.json.Encoder().encode
    with (folder / "history.jsonl").open("wb") as out:
        out.writelines(encode(event) + b"\n" for event in generated.events)
    for member in generated.members:
        (folder / f"{member.member}.json").write_bytes(encode(member))
    for name, trace in traces_of(History.of(generated.events), NAMES).items():
        with (folder / f"{name}.jsonl").open("wb") as out:
            out.writelines(encode(event) + b"\n" for event in trace)


def judge(folder: Path) -> float:
    """Read the run and run all checkers. Returns the seconds of both."""
    began = time.perf_counter()
    history = timed("reading the history", lambda: History.read(folder / "history.jsonl"))
    members = timed(
        "reading the members' states",
        lambda: tuple(
            msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=MemberState)
            for name in NAMES
        ),
    )
    traces = timed(
        "reading the traces",
        lambda: {name: tuple(read_trace(folder / f"{name}.jsonl")) for name in NAMES},
    )
    evidence = Evidence(history, members, traces)
    for name in catalogue.CHECKERS:
        (verdict,) = timed(name, lambda name=name: catalogue.judge(evidence, [name]))  # type: ignore[misc]
        if verdict.valid is not True:
            print(f"    {verdict.valid}  {verdict.why}")
        for anomaly in verdict.anomalies[:3]:
            print(f"    {anomaly.because}")
    return time.perf_counter() - began


def run(
    operations: int = OPERATIONS, workload: str = "kv", clients: int = 32, seed: int = 0
) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        timed(
            "generating the run (not counted)",
            lambda: write_run(folder, workload, operations, clients, seed),
        )
        cpu_began_s = time.process_time()
        seconds = judge(folder)
        return [
            Figure(
                name=f"reading and judging {operations:,} operations ({workload}), all checkers",
                unit="wall s",
                value=round(seconds, 2),
                bound=REQUIRED_S if operations >= OPERATIONS else None,
                bound_kind="at most",
                notes={
                    "CPU s": round(time.process_time() - cpu_began_s, 2),
                    "load average": load_average(),
                },
            )
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure all checkers on a generated run.")
    parser.add_argument("--operations", type=int, default=OPERATIONS)
    parser.add_argument("--workload", choices=("kv", "register", "set"), default="kv")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    (figure,) = run(arguments.operations, arguments.workload, arguments.clients, arguments.seed)
    print(f"{'reading and judging':32} {figure.value:8.2f} s")


if __name__ == "__main__":
    main()
