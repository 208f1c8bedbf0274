"""The sdist is complete, and both ways to build the wheel give the same package."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.packaging.build import COMMAND_TIMEOUT_S, ROOT, Archives, checked_run, contents

pytestmark = pytest.mark.xdist_group("packaging-archives")

FOLDERS = ("checkers", "harness", "histories", "nemesis", "node")


def tracked_files() -> set[str]:
    """The files of the repository; in an unpacked sdist, which has no history, all files."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone: git does not list the files")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name for name in listed.stdout.splitlines() if os.path.lexists(ROOT / name)}


def test_the_sdist_contains_every_file_and_every_link_of_the_repository(
    archives: Archives,
) -> None:
    with tarfile.open(archives.sdist) as archive:
        members = {one.name.partition("/")[2]: one for one in archive.getmembers()}
    assert set(members) == tracked_files() | {"PKG-INFO"}
    links = {name: one.linkname for name, one in members.items() if one.issym()}
    assert links == {f"splitbrain/{name}": f"../{name}" for name in FOLDERS}


def test_an_sdist_built_from_the_unpacked_sdist_has_the_same_files(
    archives: Archives, tmp_path: Path
) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    checked_run(build, archives.unpacked)
    (again,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(again) as one, tarfile.open(archives.sdist) as other:
        assert set(one.getnames()) == set(other.getnames())


def test_the_wheel_contains_one_package_and_files_for_the_shell(archives: Archives) -> None:
    tops = {name.split("/")[0] for name in contents(archives.wheel)}
    assert tops == {"splitbrain", "splitbrain-0.1.0.data", "splitbrain-0.1.0.dist-info"}


def test_the_wheel_contains_every_file_of_every_folder(archives: Archives) -> None:
    shipped = {name for name in contents(archives.wheel) if name.startswith("splitbrain/")}
    expected = {
        f"splitbrain/{name}" for name in tracked_files() if name.split("/")[0] in FOLDERS
    }
    assert shipped == expected | {"splitbrain/__init__.py", "splitbrain/py.typed"}


@pytest.mark.parametrize("name", [
    "py.typed", "checkers/porcupine/search.py", "harness/mutants/catalogue.py",
    "harness/report/templates/", "harness/store/__init__.py", "harness/testing/plugin.py",
    "histories/formats/detection.py", "nemesis/fault.py", "node/__main__.py",
])  # fmt: skip
def test_the_wheel_contains(archives: Archives, name: str) -> None:
    assert any(one.startswith(f"splitbrain/{name}") for one in contents(archives.wheel))


def test_the_wheel_built_from_the_sdist_has_the_same_contents(archives: Archives) -> None:
    assert contents(archives.wheel_of_sdist) == contents(archives.wheel)


@pytest.mark.parametrize("folder", ["tests/unit/mvcc", "tests/unit/nemesis"])
def test_unit_tests_run_from_the_unpacked_sdist(archives: Archives, folder: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder],
        cwd=archives.unpacked, capture_output=True, text=True, check=False,
        timeout=COMMAND_TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_python_in_the_unpacked_sdist_imports_its_package(archives: Archives) -> None:
    code = "from splitbrain.harness import errors; print(errors.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=archives.unpacked, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()).is_relative_to(archives.unpacked)
