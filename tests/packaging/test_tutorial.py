"""The commands of the tutorial "Find your first consistency bug" do what the tutorial claims."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.packaging.build import COMMAND_TIMEOUT_S, ROOT

PAGE = (ROOT / "docs" / "tutorial-first-bug.md").read_text()
SHRINKING_S = 3
EXIT_CODES: Mapping[str, tuple[int, ...]] = {
    "splitbrain hunt": (1,),
    "splitbrain shrink": (0,),
    "splitbrain sim --schedule stale.schedule": (1,),
    "splitbrain playback": (0,),
    "sed": (0,),
    # Unknown if the few operations that are left do not succeed on the correct member.
    "splitbrain sim --schedule corrected.schedule": (0, 2),
    "pytest": (0,),
}
"""The beginning of each command of the page after the installation, in order → its exit codes."""


def commands() -> list[str]:
    """The commands of the page, without the installation."""
    text = PAGE.partition("## 2. Search")[2]
    return re.findall(r"^    ((?:splitbrain|sed|pytest)\b.*)$", text, re.MULTILINE)


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `command` of the page in `folder`, with a shorter search of `shrink`."""
    programs = Path(sys.executable).parent
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST")
    }
    return subprocess.run(
        ["bash", "-c", re.sub(r"--budget \d+", f"--budget {SHRINKING_S}", command)],
        cwd=folder, text=True, capture_output=True, check=False, timeout=COMMAND_TIMEOUT_S,
        env={**variables, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_the_commands_of_the_tutorial_find_shrink_and_keep_a_stale_read(tmp_path: Path) -> None:
    (test,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "test_stale_read.py").write_text(test)
    found = commands()
    assert len(found) == len(EXIT_CODES)
    for command, (beginning, codes) in zip(found, EXIT_CODES.items(), strict=True):
        assert command.startswith(beginning)
        done = shell(command, tmp_path)
        assert done.returncode in codes, f"{command}\n{done.stdout}\n{done.stderr}"
        if beginning == "splitbrain sim --schedule stale.schedule":
            assert re.search(r"INVALID  (mvcc|linearizable|invariants)", done.stdout)
        if beginning == "splitbrain sim --schedule corrected.schedule":
            assert "INVALID" not in done.stdout
    assert (tmp_path / "playback.html").stat().st_size > 1000
    (tmp_path / "test_stale_read.py").write_text(test.replace("corrected.", "stale."))
    assert shell("pytest", tmp_path).returncode == 1
