"""Measures the CPU time of the checker `watch` over 1,250,000 events.

    python -m tests.benchmarks.watch [--writes N] [--watchers W]

The benchmark generates a valid run, writes its `watch.jsonl`, reads it back as `splitbrain check`
does, and judges it. The times are CPU seconds of this process. The figure is the time of the
checker; the time to read the file is in the notes.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.watch.checker import check_watch
from splitbrain.harness.synthetic.watch import generate_watched
from splitbrain.histories.history import History
from splitbrain.histories.watch import FILE_NAME, read_streams, write_streams
from tests.benchmarks.figure import Figure, load_average

WRITES = 32_000
WATCHERS = 40
REQUIRED_S = 5.0


def measure(writes: int, watchers: int) -> Figure:
    run = generate_watched(writes, watchers, seed=1)
    history = History.of(run.history.events)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE_NAME
        write_streams(path, run.lines)
        file_mib = path.stat().st_size / 2**20
        members = run.history.members
        del run
        began = time.process_time()
        streams = read_streams(path)
        read_s = time.process_time() - began
    began = time.process_time()
    verdict = check_watch(Evidence(history, members, watches=streams))
    judged_s = time.process_time() - began
    assert verdict.valid, verdict
    return Figure(
        name=f"checker watch, {verdict.counts['events']:,} events",
        unit="CPU s",
        value=judged_s,
        bound=REQUIRED_S,
        bound_kind="at most",
        notes={
            "CPU s to read the file": round(read_s, 2),
            "file MiB": round(file_mib),
            "streams": len(streams),
            "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "load average": load_average(),
        },
    )


def run() -> list[Figure]:
    return [measure(WRITES, WATCHERS)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=WRITES)
    parser.add_argument("--watchers", type=int, default=WATCHERS)
    arguments = parser.parse_args()
    print(measure(arguments.writes, arguments.watchers))
