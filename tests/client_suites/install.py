"""Installs a suite into a separate virtual environment, from PyPI."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
from pathlib import Path

from tests.client_suites.catalogue import Suite

FOLDER = Path(__file__).resolve().parents[2] / ".client_suites"
"""The suites of this working copy."""


def sources(suite: Suite, folder: Path = FOLDER) -> Path:
    """The unpacked source distribution, which contains the tests."""
    return folder / suite.name / suite.release.replace("==", "-")


def python(suite: Suite, folder: Path = FOLDER) -> Path:
    return folder / suite.name / "venv" / "bin" / "python"


def is_installed(suite: Suite, folder: Path = FOLDER) -> bool:
    return (folder / suite.name / "installed").exists()


def install(suite: Suite, folder: Path = FOLDER) -> None:
    """Download and install `suite`, unless it is installed. Raises CalledProcessError, OSError."""
    if is_installed(suite, folder):
        return
    place = folder / suite.name
    venv.create(place / "venv", clear=True, with_pip=True)
    interpreter = str(python(suite, folder))
    pip = [interpreter, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "install", *suite.requirements], check=True, stdin=subprocess.DEVNULL
    )
    subprocess.run(
        [*pip, "install", suite.release], check=True, stdin=subprocess.DEVNULL
    )
    subprocess.run(
        [
            *pip, "download", "--no-deps", "--no-binary", ":all:", "--dest", str(place),
            suite.release,
        ],
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (archive,) = place.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    assert sources(suite, folder).is_dir(), f"{archive} contains no {sources(suite, folder).name}"
    (place / "installed").write_text(f"{suite.release}, Python {sys.version.split()[0]}\n")
