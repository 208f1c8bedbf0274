"""Measures how many schedules that find planted bugs in simulation find them on processes.

    python -m tests.mutants.on_processes
    python -m tests.mutants.on_processes --only vote_not_persisted,compare_lost --tries 2

Each try hunts a failing seed, shrinks its schedule (`splitbrain shrink --mutant M --no-swarm
--at-steps`) and replays it against processes (`splitbrain replay FILE --system python_node`), up
to three times. The exit code is 0 if at least nine of ten schedules are invalid again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from splitbrain.harness.mutants.catalogue import names, names_in_processes

ROOT = Path(__file__).resolve().parents[2]
SPLITBRAIN = (sys.executable, "-c", "from splitbrain.harness.cli.main import main; main()")
INVALID = 1
REQUIRED = 0.9
FINDS_MAX = 50


def main() -> None:
    options = _options()
    selected = options.only.split(",") if options.only else list(names_in_processes())
    unknown = [name for name in selected if name not in names()]
    if unknown:
        sys.exit(f"unknown mutants: {', '.join(unknown)}; see `splitbrain list mutants`")
    outcomes = [
        found_again for name in selected for number in range(options.tries)
        for found_again in _try_on_processes(name, number, options)
    ]
    share = sum(outcomes) / max(len(outcomes), 1)
    print(f"{sum(outcomes)} of {len(outcomes)} schedules find their bug on processes "
          f"({100 * share:.0f} %)")
    sys.exit(share < REQUIRED)


def _try_on_processes(name: str, number: int, options: argparse.Namespace) -> Iterator[bool]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "found.schedule")
        seed = _find(name, number)
        if seed is None:
            print(f"{name}, try {number}: not found in simulation", flush=True)
            return
        _run("shrink", "--mutant", name, "--no-swarm", "--at-steps", "--quiet", "--seed", seed,
             "--budget", str(options.budget), "--out", str(file))
        code, _ = _run("replay", str(file), "--system", "python_node", "--times",
                       str(options.times), "--store", folder, "--quiet")
        outcome = "found again" if code == INVALID else "NOT FOUND AGAIN"
        print(f"{name}, try {number}: seed {seed}, {outcome} on processes", flush=True)
        yield code == INVALID


def _find(name: str, number: int) -> str | None:
    """A failing seed that a checker other than `invariants` finds.

    `invariants` needs the state of the simulation, so a bug that only it finds cannot be found
    on processes. None if `hunt` finds no such seed.
    """
    seed = 1000 * number
    for _ in range(FINDS_MAX):
        code, output = _run("hunt", "--mutant", name, "--no-swarm", "--seed", str(seed))
        if code != INVALID:
            return None
        lines = output.splitlines()
        found = lines[1].removeprefix("seed ").partition(":")[0]
        if lines[2] != "INVALID by invariants":
            return found
        seed = int(found) + 1
    return None


def _run(*words: str) -> tuple[int, str]:
    done = subprocess.run(
        [*SPLITBRAIN, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants.on_processes",
        description="Shrink schedules that find bugs in simulation, and replay them on processes.",
    )
    parser.add_argument("--only", default="", help="the mutants to try, separated by commas [all]")
    parser.add_argument("--tries", type=int, default=2, help="schedules of each mutant [2]")
    parser.add_argument("--budget", type=float, default=40.0,
                        help="time to shrink a schedule, in s [40]")
    parser.add_argument("--times", type=int, default=3, help="replays of a schedule at most [3]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
