"""The same seed gives the same run, byte for byte, in any process and on any CPython."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.harness.simulation.digest import first_difference
from tests.pythons import MINORS, environment, is_current

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = ("n1", "n2", "n3")
VARIABLE = "SPLITBRAIN_PYTHONS"
PROGRAM = """
import sys
from pathlib import Path
from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.store.run_folder import RunFolder
given = {"system": "simulated", "nodes": (3,), "time_limit_s": 8.0}
schedule = draw_swarm_schedule(int(sys.argv[1]), given)
print(execute_simulated(schedule, RunFolder(Path(sys.argv[2]))).digest)
"""


def run_in_process(python: str, seed: int, folder: Path, hash_seed: str) -> str:
    folder.mkdir()
    done = subprocess.run(
        [python, "-c", PROGRAM, str(seed), str(folder)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def other_pythons() -> list[str]:
    """Interpreters of other versions with the libraries that a run needs: those in the environment
    variable SPLITBRAIN_PYTHONS, and those that `tests.pythons` has made for the present
    requirements."""
    named = [one for one in os.environ.get(VARIABLE, "").split(os.pathsep) if one]
    found = [one for one in named if has_the_libraries(one)]
    assert found == named, f"{VARIABLE} names interpreters without the libraries of a run"
    others = [minor for minor in MINORS if minor != sys.version_info.minor and is_current(minor)]
    made = [str(environment(minor)) for minor in others]
    return [*found, *(one for one in made if has_the_libraries(one))]


def has_the_libraries(python: str) -> bool:
    probe = "import msgspec, sortedcontainers, google_crc32c, aiohttp, lmdb, click"
    return Path(python).exists() and not subprocess.run(
        [python, "-c", probe], capture_output=True, check=False
    ).returncode


@pytest.mark.parametrize("seed", [7, 11, 20])
def test_the_digest_is_the_same_in_another_process_with_another_hash_seed(
    tmp_path: Path, seed: int
) -> None:
    one = run_in_process(sys.executable, seed, tmp_path / "one", "1")
    other = run_in_process(sys.executable, seed, tmp_path / "other", "4242")
    assert first_difference(tmp_path / "one", tmp_path / "other", MEMBERS) is None
    assert one == other
    assert len(one) == 64


@pytest.mark.parametrize("seed", [7, 12])
def test_the_digest_is_the_same_on_other_versions_of_cpython(tmp_path: Path, seed: int) -> None:
    others = other_pythons()
    if not others:
        pytest.skip("no other CPython from 3.11 to 3.13 is here; see tests/pythons.py")
    ours = run_in_process(sys.executable, seed, tmp_path / "ours", "1")
    for number, python in enumerate(others):
        theirs = run_in_process(python, seed, tmp_path / str(number), "2")
        assert first_difference(tmp_path / "ours", tmp_path / str(number), MEMBERS) is None
        assert theirs == ours, python


def test_another_seed_is_another_run_and_the_first_difference_is_named(tmp_path: Path) -> None:
    one = run_in_process(sys.executable, 7, tmp_path / "one", "1")
    other = run_in_process(sys.executable, 8, tmp_path / "other", "1")
    assert one != other
    output = first_difference(tmp_path / "one", tmp_path / "other", MEMBERS)
    assert output is not None
    assert "!=" in output
