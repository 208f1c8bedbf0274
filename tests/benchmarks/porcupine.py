"""Compares the CPU time of the linearizability checker with Go porcupine, on porcupine's data.

The data is in `../shared/data/porcupine` next to this project, or in the folder that
SPLITBRAIN_PORCUPINE_DATA names. The peer is the program that SPLITBRAIN_PORCUPINE names; without
it, only our own figures are printed. The program is called as

    PROGRAM FOLDER REPEATS

and prints one line of JSON for each file and model: `file`, `how` ("etcd-register",
"kv-partitioned" or "kv-whole"), `ok` (the verdict), and `read_ns` and `check_ns`, the CPU time of
each repetition. Both programs judge the same files by the same models, alternately.

Two times are measured: the time of the check, from operations in memory to the verdict, and the
time of reading the file and checking. Each file counts with the median of its repetitions. The
times are CPU times of the process, which depend less on other processes than wall times.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from splitbrain.checkers.foreign.linearizable import key_value_operations, register_operations
from splitbrain.checkers.porcupine import CheckResult, Model, Operation, check_operations
from splitbrain.checkers.porcupine.models.key_value import key_value, whole_key_value
from splitbrain.checkers.porcupine.models.register import register
from splitbrain.histories.formats.jepsen_log import read_jepsen_log
from splitbrain.histories.formats.porcupine_kv import read_porcupine_kv
from tests.benchmarks.figure import Figure, load_average

DATA = Path(
    os.environ.get("SPLITBRAIN_PORCUPINE_DATA")
    or Path(__file__).parents[3] / "shared" / "data" / "porcupine"
)
PEER = os.environ.get("SPLITBRAIN_PORCUPINE", "")
ROUNDS = 3
REPEATS = 5
LONG_NS = 200_000_000
"""A file that takes longer than this, in ns of CPU time, is measured once per round."""
LABELS = {
    "etcd-register": "52 Jepsen logs of etcd registers",
    "kv-partitioned": "key-value logs, each key apart",
    "kv-whole": "key-value logs, all keys in one state",
}
MODELS: dict[str, Callable[[], Model[Any, Any, Any]]] = {
    "etcd-register": register,
    "kv-partitioned": key_value,
    "kv-whole": whole_key_value,
}


@dataclass
class Times:
    """The verdict for one file and model, and the CPU time of each repetition in ns."""

    ok: bool = False
    read_ns: list[int] = field(default_factory=list)
    check_ns: list[int] = field(default_factory=list)


Case = tuple[str, str]
Measured = dict[Case, Times]


def run() -> list[Figure]:
    cases = cases_of(json.loads((DATA / "verdicts.json").read_text())["files"])
    ours: Measured = {}
    search_only: Measured = {}
    peer: Measured = {}
    for _ in range(ROUNDS):
        if PEER:
            measure_peer(peer)
        for case in cases:
            measure_ours(ours, case, search_only=False)
    for case in cases:
        measure_ours(search_only, case, search_only=True)
    wrong = [
        case for case, ok in cases.items() if ours[case].ok != ok or search_only[case].ok != ok
    ]
    assert not wrong, f"verdicts differ from verdicts.json: {wrong}"
    assert all(peer[case].ok == ok for case, ok in cases.items() if case in peer)
    return list(figures(ours, search_only, peer))


def cases_of(files: dict[str, dict[str, dict[str, Any]]]) -> dict[Case, bool]:
    return {
        (name, how): case["verdict"] == "Ok"
        for name, cases in files.items()
        for how, case in cases.items()
    }


def measure_peer(measured: Measured) -> None:
    command = [PEER, str(DATA), str(REPEATS)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in output.splitlines():
        one = json.loads(line)
        times = measured.setdefault((one["file"], one["how"]), Times())
        times.ok = one["ok"]
        times.read_ns += one["read_ns"]
        times.check_ns += one["check_ns"]


def measure_ours(measured: Measured, case: Case, search_only: bool) -> None:
    times = measured.setdefault(case, Times())
    for _ in range(REPEATS):
        began = time.process_time_ns()
        operations = read(*case)
        read_by = time.process_time_ns()
        model = MODELS[case[1]]()
        if search_only:
            model = replace(model, decide=None)
        times.ok = check_operations(model, operations) is CheckResult.OK
        ended = time.process_time_ns()
        times.read_ns.append(read_by - began)
        times.check_ns.append(ended - read_by)
        if ended - began > LONG_NS:
            break


def read(name: str, how: str) -> list[Operation[Any, Any]]:
    if how == "etcd-register":
        return register_operations(read_jepsen_log(DATA / "jepsen" / name))
    return key_value_operations(read_porcupine_kv(DATA / "kv" / name))


def figures(ours: Measured, search_only: Measured, peer: Measured) -> Iterable[Figure]:
    everything = list(ours)
    for how, label in LABELS.items():
        cases = [case for case in everything if case[1] == how]
        name = f"linearizability of {label}"
        yield figure(name, cases, ours, peer, check_ms)
        yield figure(f"{name}, by search only", cases, search_only, peer, check_ms)
    name = "linearizability of all files"
    yield figure(name, everything, ours, peer, check_ms, required=True)
    yield figure(f"{name}, by search only", everything, search_only, peer, check_ms)
    yield figure(f"{name}, with reading", everything, ours, peer, whole_ms, required=True)


def check_ms(times: Times) -> float:
    return median(times.check_ns) / 1e6


def whole_ms(times: Times) -> float:
    return check_ms(times) + median(times.read_ns) / 1e6


def figure(
    name: str,
    cases: list[Case],
    ours: Measured,
    peer: Measured,
    ms: Callable[[Times], float],
    required: bool = False,
) -> Figure:
    notes: dict[str, float | str] = {"files": len(cases), "load average": load_average()}
    if peer:
        times = [ms(ours[case]) / ms(peer[case]) for case in cases]
        notes["median of the ratios per file"] = round(median(times), 2)
    return Figure(
        name=name,
        unit="CPU ms",
        value=round(sum(ms(ours[case]) for case in cases), 3),
        peer_name="Go porcupine" if peer else "",
        peer=round(sum(ms(peer[case]) for case in cases), 3) if peer else None,
        bound=1.0 if required and peer else None,
        bound_kind="at most",
        of="ratio",
        notes=notes,
    )
