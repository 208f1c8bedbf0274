"""How many of the simulated finds show again on real processes.

    python -m tests.mutants.on_processes
    python -m tests.mutants.on_processes --only vote_not_persisted,compare_lost --tries 2

Each try shrinks a find of its own (`splitbrain shrink --mutant M --no-swarm --at-steps`) and
replays the schedule against processes (`splitbrain replay FILE --system python_node`), up to
three times. The exit code is 0 if at least nine in ten show again.
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
    wanted = options.only.split(",") if options.only else list(names_in_processes())
    unknown = [name for name in wanted if name not in names()]
    if unknown:
        sys.exit(f"no mutant is called {', '.join(unknown)}; `splitbrain list mutants` names them")
    shown = [
        again for name in wanted for number in range(options.tries)
        for again in _tried(name, number, options)
    ]
    share = sum(shown) / max(len(shown), 1)
    print(f"{sum(shown)} of {len(shown)} finds show again on processes ({100 * share:.0f} of 100)")
    sys.exit(share < REQUIRED)


def _tried(name: str, number: int, options: argparse.Namespace) -> Iterator[bool]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "found.schedule")
        seed = _find(name, number)
        if seed is None:
            print(f"{name} {number}: no find", flush=True)
            return
        _run("shrink", "--mutant", name, "--no-swarm", "--at-steps", "--quiet", "--seed", seed,
             "--budget", str(options.budget), "--out", str(file))
        code, _ = _run("replay", str(file), "--system", "python_node", "--times",
                       str(options.times), "--store", folder, "--quiet")
        print(f"{name} {number}: seed {seed}, "
              f"{'shown again' if code == INVALID else 'NOT SHOWN'}", flush=True)
        yield code == INVALID


def _find(name: str, number: int) -> str | None:
    """A seed that processes could suffer, too, and that a checker of histories finds: what
    the invariants alone see, nobody sees in a process."""
    seed = 1000 * number
    for _ in range(FINDS_MAX):
        code, said = _run("hunt", "--mutant", name, "--no-swarm", "--seed", str(seed))
        if code != INVALID:
            return None
        lines = said.splitlines()
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
        description="Shrink simulated finds, and replay them on processes.",
    )
    parser.add_argument("--only", default="", help="these mutants, with commas")
    parser.add_argument("--tries", type=int, default=2, help="finds of each [2]")
    parser.add_argument("--budget", type=float, default=40.0, help="s to shrink each [40]")
    parser.add_argument("--times", type=int, default=3, help="replays of each [3]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
