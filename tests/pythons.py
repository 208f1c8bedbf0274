"""Other versions of CPython with the libraries of a run, to compare digests with.

    python -m tests.pythons

For each version from 3.11 to 3.13 but this one's that is installed on the machine, an
environment `.venv-3.NN` beside the project's own, with what stands in requirements.lock.
A version that is not there is told of, and not compared with.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MINORS = (11, 12, 13)


def environment(minor: int) -> Path:
    """Its interpreter, made or not."""
    return ROOT / f".venv-3.{minor}" / "bin" / "python"


def installed(minor: int) -> str | None:
    """An interpreter of 3.`minor` that runs: of the PATH, or one that pyenv keeps."""
    named = shutil.which(f"python3.{minor}")
    kept = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
    for place in [*([named] if named else []), *map(str, kept)]:
        probe = [place, "-c", f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return place
    return None


def provide(minor: int) -> str:
    """Make the environment unless it is there; what came of it."""
    python = environment(minor)
    ready = python.parent.parent / ".ready"
    if ready.exists():
        return f"CPython 3.{minor}: {python}"
    found = installed(minor)
    if found is None:
        return f"CPython 3.{minor} is not on this machine: digests are not compared with its"
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for command in (
        [found, "-m", "venv", "--clear", str(python.parent.parent)],
        [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check",
         "--constraint", str(ROOT / "requirements.lock"), *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason was told"])[-1]
            return f"CPython 3.{minor} cannot be set up, and digests are not compared: {last}"
    ready.touch()
    return f"CPython 3.{minor}: {python}"


def main() -> None:
    others = [minor for minor in MINORS if minor != sys.version_info.minor]
    with ThreadPoolExecutor() as pool:
        for told in pool.map(provide, others):
            print(told)


if __name__ == "__main__":
    main()
