"""PyPI accepts the archives, and the wheel installs manual pages and completions."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.build import COMMAND_TIMEOUT_S, ROOT, Archives, contents

pytestmark = pytest.mark.xdist_group("packaging-archives")

WITHOUT_NAME = "Metadata-Version: 2.4\nVersion: 1\n"


def twine_check(*archives: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, archives)],
        capture_output=True, text=True, check=False, timeout=COMMAND_TIMEOUT_S,
    )  # fmt: skip


def test_twine_accepts_the_archives(archives: Archives) -> None:
    done = twine_check(archives.sdist, archives.wheel)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_twine_refuses_a_wheel_with_wrong_metadata(archives: Archives, tmp_path: Path) -> None:
    wrong = tmp_path / archives.wheel.name
    with zipfile.ZipFile(wrong, "w") as archive:
        for name, content in contents(archives.wheel).items():
            if name.endswith("/METADATA"):
                archive.writestr(name, WITHOUT_NAME)
            elif name.endswith((".dist-info/WHEEL", ".dist-info/RECORD")):
                archive.writestr(name, content)
    assert twine_check(wrong).returncode == 1


@pytest.mark.parametrize("path", [
    "man/man1/splitbrain.1", "man/man1/splitbrain-run.1",
    "bash-completion/completions/splitbrain", "zsh/site-functions/_splitbrain",
    "fish/vendor_completions.d/splitbrain.fish",
])
def test_the_wheel_installs(archives: Archives, path: str) -> None:
    names = contents(archives.wheel)
    assert any(name.endswith(f".data/data/share/{path}") for name in names)


def test_the_container_copies_files_that_exist_and_installs_declared_extras() -> None:
    text = (ROOT / "Containerfile").read_text()
    for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        *sources, _ = line.split()
        assert [name for name in sources if not (ROOT / name).exists()] == []
    (extras,) = re.findall(r"'\.\[(.*)\]'", text)
    declared = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2]
    assert [one for one in extras.split(",") if f"\n{one} = [" not in declared] == []
