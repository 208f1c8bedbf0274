"""Builds the sdist and the wheel, and a virtual environment that contains the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = "splitbrain"
COMMAND_TIMEOUT_S = 240


@dataclass(frozen=True, slots=True)
class Archives:
    """One build of the checkout."""

    sdist: Path
    wheel: Path
    """Built from the checkout."""
    unpacked: Path
    """The root folder of the unpacked sdist."""
    wheel_of_sdist: Path
    """Built from `unpacked`."""


def build_archives(folder: Path) -> Archives:
    """Build the sdist and the wheel of the checkout, and the wheel of the sdist, in `folder`."""
    checked_run([sys.executable, "-m", "hatchling", "build", "-d", folder / "dist"], ROOT)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    checked_run(["tar", "-xzf", sdist, "-C", folder], folder)
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    checked_run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "again"],
        unpacked,
    )
    (wheel_of_sdist,) = (folder / "again").glob("*.whl")
    return Archives(sdist, wheel, unpacked, wheel_of_sdist)


def contents(wheel: Path) -> dict[str, bytes]:
    """File name in the wheel → content."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# --- the environment ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with the wheel of splitbrain and without the checkout.

    The environment gets links to the installed distributions that the wheel requires, with
    its extra `pytest`. A requirement that the wheel does not declare is missing in it. The
    links exclude the editable installation of the checkout.
    """

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def run(
        self, words: Sequence[str | Path], cwd: Path, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run the program `words[0]` of the environment in the folder `cwd`."""
        command = [str(self.folder / "bin" / words[0]), *map(str, words[1:])]
        return subprocess.run(
            command, cwd=cwd, env=self._variables(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip

    def _variables(self) -> Mapping[str, str]:
        """The variables of a user's shell, without those of Python and of the test session."""
        kept = {
            name: value for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "PYTEST", "SPLITBRAIN", "VIRTUAL_ENV"))
        }
        return {**kept, "PATH": os.pathsep.join([str(self.folder / "bin"), kept.get("PATH", "")])}


def make_environment(folder: Path, wheel: Path) -> Environment:
    """A virtual environment in `folder` with `wheel` and its requirements."""
    checked_run([sys.executable, "-m", "venv", "--without-pip", folder], ROOT)
    environment = Environment(folder)
    for found in required_distributions(requirements_of(wheel)):
        for source in installed_entries(found):
            (environment.site_packages / source.name).symlink_to(source)
    _write_script(environment, "pytest")
    checked_run(
        [
            sys.executable, "-m", "pip", "--python", environment.python, "install", "--quiet",
            "--disable-pip-version-check", "--no-deps", "--no-index", "--no-compile", wheel,
        ],
        ROOT,
    )  # fmt: skip
    return environment


def _write_script(environment: Environment, module: str) -> None:
    """The console script that an installation of `module` writes."""
    script = environment.folder / "bin" / module
    script.write_text(
        f"#!{environment.python}\n"
        f"import sys\nfrom {module} import console_main\nsys.exit(console_main())\n"
    )
    script.chmod(0o755)


def requirements_of(wheel: Path) -> Sequence[Requirement]:
    """The requirements that the wheel declares, with its extra `pytest`."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    prefix = "Requires-Dist: "
    return [
        requirement
        for line in lines if line.startswith(prefix)
        if applies(requirement := Requirement(line.removeprefix(prefix)), extras={"pytest"})
    ]


def applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Whether the marker of `requirement` is true here, with `extras`."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def required_distributions(requirements: Iterable[Requirement]) -> Iterator[Distribution]:
    """The installed distributions that satisfy `requirements`, and those that they require."""
    seen: set[str] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        found = distribution(requirement.name)
        if found.name in seen:
            continue
        seen.add(found.name)
        assert found.name != PROJECT
        yield found
        needed = (Requirement(line) for line in found.requires or ())
        waiting += [one for one in needed if applies(one, requirement.extras)]


def installed_entries(found: Distribution) -> Iterator[Path]:
    """The files and folders at the top of site-packages that belong to `found`."""
    tops = {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}
    for top in sorted(tops):
        yield Path(str(found.locate_file(top)))


def checked_run(command: Sequence[str | Path], cwd: Path) -> None:
    """Run `command` in `cwd`. Raises AssertionError with its output if it fails."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True,
        timeout=COMMAND_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
