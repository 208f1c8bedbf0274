"""Measures how soon each planted bug is found, and writes a table.

    python -m tests.mutants.table --tries 20 --budget 60 --workers 2
    python -m tests.mutants.table --only vote_given_twice,wal_not_synced --shrink 60

Each try runs `splitbrain hunt --mutant M` with default options. Each has its own first seed.
The budget of a try is CPU time, so that a busy machine measures the same as an idle one. The
program stores each measurement in the file `--measurements`, and writes the table after each
try. If it is interrupted, it continues from that file, unless the sources have changed. It makes
the first try of every mutant before the second of any.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import multiprocessing
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from multiprocessing.context import ForkServerContext
from pathlib import Path

import msgspec

from splitbrain.harness.counted import counted
from splitbrain.harness.mutants.catalogue import mutant, names, names_in_simulation

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = (
    "splitbrain.harness.cli.main", "splitbrain.harness.cli.hunt", "splitbrain.harness.cli.shrink",
    "splitbrain.harness.seeds.seed_runs", "splitbrain.harness.seeds.summary",
    "splitbrain.harness.shrinking.search",
    "splitbrain.harness.simulation.simulate", "splitbrain.checkers.catalogue",
)
FIRST_SEEDS_APART = 1_000_000
INVALID = 1
PATIENCE = 20
"""The limit of a hunt's wall time, as a multiple of its budget, which is CPU time."""
OUT_OF_TIME = 128 + signal.SIGXCPU
CLEANUP_S = 10
"""CPU time in s that a hunt has for removing its files after its budget is used."""
MEASURED = ("node", "harness", "nemesis", "checkers", "histories", "tests/mutants")
"""Folders whose sources may affect the result of a hunt."""


_SEEDS = re.compile(r"(\d+) seeds? ")
"""The beginning of the output of a hunt."""


class Try(msgspec.Struct, frozen=True):
    """One hunt. The times are those of the whole command, with start and imports."""

    mutant: str
    number: int
    budget_s: float
    found_by: tuple[str, ...]
    """The checkers that found the run invalid; empty if the bug was not found."""
    seed: int
    seeds: int
    """The number of seeds that were tried."""
    wall_s: float
    cpu_s: float
    shrunk: str = ""
    sources: str = ""
    """The state of the measured sources; see `sources`."""


def hunt(name: str, number: int, budget_s: float, shrink_s: float) -> Try:
    """Hunt the mutant `name` from the first seed of try `number`.

    Raises RuntimeError if the command fails.
    """
    first = FIRST_SEEDS_APART * (number + 1)
    patience_s = budget_s * PATIENCE
    ran = _run(
        budget_s, "hunt", "--mutant", name, "--seed", str(first), "--budget", str(patience_s)
    )
    lines = ran.output.splitlines()
    if ran.code == OUT_OF_TIME:
        return Try(name, number, budget_s, (), 0, 0, ran.wall_s, ran.cpu_s, sources=sources())
    counted = _SEEDS.match(ran.output)
    if ran.code not in (0, INVALID) or counted is None:
        raise RuntimeError(
            f"`splitbrain hunt --mutant {name} --seed {first}` ended with exit code {ran.code}: "
            f"{ran.output[-2000:]}"
        )
    seeds = int(counted[1])
    if ran.code == 0:
        return Try(name, number, budget_s, (), 0, seeds, ran.wall_s, ran.cpu_s, sources=sources())
    seed = int(lines[1].removeprefix("seed ").partition(":")[0])
    found_by = tuple(lines[2].removeprefix("INVALID by ").split(", "))
    shrunk = shrink(name, seed, shrink_s) if shrink_s else ""
    return Try(
        name, number, budget_s, found_by, seed, seeds, ran.wall_s, ran.cpu_s, shrunk, sources()
    )


@functools.cache
def sources() -> str:
    """The state of the measured sources: the first 12 hex digits of a SHA-256 over all modules
    except this one."""
    read = hashlib.sha256()
    for folder in MEASURED:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path != Path(__file__).resolve():
                read.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return read.hexdigest()[:12]


def shrink(name: str, seed: int, budget_s: float) -> str:
    """Shrink the schedule of `seed`; returns the size that `splitbrain shrink` prints."""
    ran = _run(
        10 * budget_s, "shrink", "--mutant", name, "--seed", str(seed), "--budget", str(budget_s)
    )
    sizes = [line.partition(" runs: ")[2] for line in ran.output.splitlines() if " runs: " in line]
    return sizes[-1] if sizes else ""


class Ran(msgspec.Struct, frozen=True):
    """A command that has ended: its exit code, its output, and its times in s."""

    code: int
    output: str
    wall_s: float
    cpu_s: float


def _run(cpu_s_max: float, *arguments: str) -> Ran:
    """Run `splitbrain` with `arguments` in a separate process.

    The process is forked from one that has imported the modules of a run. The CPU time of the
    imports is added to its time.
    """
    imports_s = _imports_s()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        output, cpu = Path(folder, "output"), Path(folder, "cpu")
        job = (arguments, ceil(cpu_s_max - imports_s), str(output), str(cpu))
        process = _server().Process(target=_command, args=job)
        process.start()
        process.join()
        code = process.exitcode
        assert code is not None
        cpu_s = float(cpu.read_text()) if cpu.exists() else cpu_s_max - imports_s
        text = output.read_text() if output.exists() else ""
    return Ran(code, text, time.monotonic() - began + imports_s, cpu_s + imports_s)


def _command(arguments: tuple[str, ...], cpu_s_max: int, output: str, cpu: str) -> None:
    from splitbrain.harness.cli.main import run_main
    from splitbrain.harness.seeds.worker_processes import remove_folders_and_exit

    signal.signal(signal.SIGXCPU, remove_folders_and_exit)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s_max, cpu_s_max + CLEANUP_S))
    os.chdir(ROOT)
    with Path(output).open("w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
    code = run_main(list(arguments))
    sys.stdout.flush()
    used = resource.getrusage(resource.RUSAGE_SELF)
    Path(cpu).write_text(str(used.ru_utime + used.ru_stime))
    os._exit(code)


@functools.cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    return context


@functools.cache
def _imports_s() -> float:
    """CPU time that a command spends on imports, in s."""
    code = f"import {', '.join(IMPORTED)}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# --- the table ---------------------------------------------------------------------------


def table(tries: Sequence[Try]) -> str:
    """The table of `tries` and its explanation, as Markdown."""
    known = [name for name in names() if any(one.mutant == name for one in tries)]
    found = sum(1 for one in tries if one.found_by)
    half = sum(1 for name in known if _share_found(tries, name) >= 0.5)
    budgets = ", ".join(f"{budget:g}" for budget in sorted({one.budget_s for one in tries}))
    return "\n".join([
        "# Mutants found",
        "",
        "This table shows how soon each [planted bug](mutants.md) is found in simulation.",
        "`make mutants` (`python -m tests.mutants.table`) writes it. Each try runs",
        "`splitbrain hunt --mutant M` with default options. Each try has its own first seed.",
        "",
        f"{found} of {len(tries)} tries found the planted bug within {budgets} s of CPU time "
        f"({100 * found / max(len(tries), 1):.1f} %). For {half} of {len(known)} mutants, at least "
        "half of the tries found it.",
        "",
        *_missing(len(names()) - len(known)),
        "- *tries*, *found*: the number of tries, and how many of them found the bug.",
        "- *CPU s*: the CPU time of the whole command on one core, in seconds; the median of the",
        "  tries that found the bug.",
        "- *checkers*: the checkers that found the run invalid, each with the number of tries.",
        f"- *shrunk schedule*: the size of one schedule after `splitbrain shrink`{_sizes(tries)}.",
        "",
        "| mutant | bug | tries | found | CPU s | checkers | shrunk schedule |",
        "|---|---|--:|--:|--:|---|---|",
        *(_row(name, [one for one in tries if one.mutant == name]) for name in known),
        "",
        *_unmeasured([name for name in names() if name not in known]),
    ])


def _missing(count: int) -> list[str]:
    """A paragraph about the planted bugs without tries; empty if every bug has some."""
    if not count:
        return []
    return [f"{counted(count, 'planted bug')} that `splitbrain list mutants` lists "
            f"{'is' if count == 1 else 'are'} not measured yet.", ""]


def _unmeasured(left: Sequence[str]) -> list[str]:
    """The section that lists the planted bugs without tries; empty if every bug has some."""
    if not left:
        return []
    rows = (f"| `{name}` | {mutant(name).what} |" for name in left)
    return ["## Not measured yet", "", "| mutant | bug |", "|---|---|", *rows, ""]


def _sizes(tries: Iterable[Try]) -> str:
    """The median size of the shrunk schedules, if there are any."""
    sizes = [one.shrunk for one in tries if one.shrunk]
    if not sizes:
        return ""
    faults, operations = (
        statistics.median(int(found[1]) for one in sizes if (found := re.search(size, one)))
        for size in (r"(\d+) faults?", r"(\d+) operations?")
    )
    return f"; the median of {len(sizes)} is {faults:g} faults and {operations:g} operations"


def _share_found(tries: Iterable[Try], name: str) -> float:
    own = [bool(one.found_by) for one in tries if one.mutant == name]
    return sum(own) / len(own)


def _row(name: str, tries: Sequence[Try]) -> str:
    found = [one for one in tries if one.found_by]
    seconds = f"{statistics.median(one.cpu_s for one in found):.1f}" if found else ""
    by = Counter(checker for one in found for checker in one.found_by)
    checkers = ", ".join(f"{checker} {count}" for checker, count in by.most_common())
    shrunk = next((one.shrunk for one in found if one.shrunk), "")
    return (
        f"| `{name}` | {mutant(name).what} | {len(tries)} | {len(found)} | {seconds} | {checkers} "
        f"| {shrunk} |"
    )


# --- the command -------------------------------------------------------------------------


def main() -> None:
    options = _options()
    selected = options.only.split(",") if options.only else list(names_in_simulation())
    unknown = [name for name in selected if name not in names()]
    if unknown:
        sys.exit(f"unknown mutants: {', '.join(unknown)}; expected some of: {', '.join(names())}")
    measurements = [one for one in _read(options.measurements) if one.sources == sources()]
    done = {(one.mutant, one.number) for one in measurements}
    jobs = [
        (name, number)
        for number in range(options.tries)
        for name in selected
        if (name, number) not in done
    ]
    writing = threading.Lock()

    def work(job: tuple[str, int]) -> None:
        attempt = hunt(*job, options.budget, options.shrink if job[1] == 0 else 0.0)
        with writing:
            measurements.append(attempt)
            with options.measurements.open("a") as file:
                file.write(json.dumps(msgspec.to_builtins(attempt)) + "\n")
            options.out.write_text(table(measurements))
            found_by = ", ".join(attempt.found_by)
            outcome = f"found by {found_by}" if found_by else "NOT FOUND"
            print(f"{attempt.mutant}, try {attempt.number}: {outcome}, {attempt.seeds} seeds, "
                  f"{attempt.cpu_s:.1f} CPU s", flush=True)

    options.measurements.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(work, jobs))
    options.out.write_text(table(measurements))


def _read(path: Path) -> list[Try]:
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Try) for line in path.read_bytes().splitlines()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants.table",
        description="Hunt every mutant, and write the table of the results.",
    )
    parser.add_argument("--tries", type=int, default=20, help="tries of each mutant [20]")
    parser.add_argument("--budget", type=float, default=60.0, help="CPU time of a try, in s [60]")
    parser.add_argument("--workers", type=int, default=1,
                        help="hunts that run at the same time [1]")
    parser.add_argument("--shrink", type=float, default=0.0, metavar="S",
                        help="seconds to shrink the schedule of each first try [0: do not]")
    parser.add_argument("--only", default="", help="the mutants to hunt, separated by commas [all]")
    parser.add_argument("--measurements", type=Path, default=ROOT / "store" / "mutants-found.jsonl",
                        help="the file of measurements; remove it to start from the beginning")
    parser.add_argument("-o", dest="out", type=Path, help="the file of the table",
                        default=ROOT / "docs" / "reference" / "mutants-found.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
