"""Creates environments of other CPython versions, to compare the digests of simulated runs.

    python -m tests.pythons

For each version from 3.11 to 3.13 that is installed on the machine, except the running one, this
program creates an environment `.venv-3.NN` in the root folder. The environment contains the
dependencies of a run, in the versions that requirements.lock names. The program prints a line for
each version; a version that is not installed is not compared.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
MINORS = (11, 12, 13)


def environment(minor: int) -> Path:
    """The path of the interpreter of the environment for 3.`minor`; it may not exist."""
    return ROOT / f".venv-3.{minor}" / "bin" / "python"


def installed(minor: int) -> str | None:
    """The path of an interpreter of 3.`minor` that starts, from the PATH or from pyenv.

    None if no such interpreter is installed. The PATH may contain a shim of pyenv that does not
    start.
    """
    on_path = shutil.which(f"python3.{minor}")
    of_pyenv = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
    for candidate in [*([on_path] if on_path else []), *map(str, of_pyenv)]:
        probe = [candidate, "-c", f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def provide(minor: int) -> str:
    """Make the environment, unless it exists with the same requirements. Returns the line to
    print."""
    python = environment(minor)
    if is_current(minor):
        return f"CPython 3.{minor}: {python}"
    found = installed(minor)
    if found is None:
        return f"CPython 3.{minor} is not installed: its digests are not compared"
    problem = make(found, python, run_requirements())
    if problem:
        return f"CPython 3.{minor}: {problem}: its digests are not compared"
    ready_file(minor).write_text(required_state())
    return f"CPython 3.{minor}: {python}"


def is_current(minor: int) -> bool:
    """Whether the environment for 3.`minor` exists with the present requirements."""
    ready = ready_file(minor)
    return ready.exists() and ready.read_text() == required_state()


def ready_file(minor: int) -> Path:
    """The file in which an environment records the requirements that it was made with."""
    return environment(minor).parent.parent / ".ready"


def required_state() -> str:
    return "\n".join([*run_requirements(), LOCK.read_text()])


def run_requirements() -> list[str]:
    """The dependencies of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [str(requirement) for requirement in project["dependencies"]]


def make(interpreter: str, python: Path, requirements: Sequence[str]) -> str:
    """Make the environment of `python` by `interpreter`. Returns the reason if that fails."""
    for command in (
        [interpreter, "-m", "venv", "--clear", str(python.parent.parent)],
        [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check",
         "--constraint", str(LOCK), *requirements],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            return lines[-1] if lines else f"exit code {done.returncode} of {' '.join(command)}"
    return ""


def main() -> None:
    others = [minor for minor in MINORS if minor != sys.version_info.minor]
    with ThreadPoolExecutor() as pool:
        for line in pool.map(provide, others):
            print(line)


if __name__ == "__main__":
    main()
