"""The store that is not etcd-like in docs/howto/test-a-store-with-etcds-api.md works as shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parents[3] / "docs" / "howto" / "test-a-store-with-etcds-api.md"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the example's `my_plain_store.py`."""
    found = re.search(r"`my_plain_store\.py`.*?```python\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "my_plain_store.py").write_text(found[1])
    return tmp_path


def run(project: Path, nemesis: str) -> subprocess.CompletedProcess[str]:
    text = HOW_TO.read_text()
    found = re.search(r"splitbrain (run --system my_plain_store.* --nemesis) none\n", text)
    assert found is not None
    splitbrain = str(Path(sys.executable).with_name("splitbrain"))
    return subprocess.run(
        [splitbrain, *found[1].split(), nemesis, "--time-limit", "2", "--no-report"],
        cwd=project, text=True, capture_output=True, timeout=120,
    )  # fmt: skip


@pytest.mark.cluster
def test_the_plain_store_of_the_how_to_is_valid(project: Path) -> None:
    done = run(project, "none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: valid" in done.stdout


@pytest.mark.cluster
def test_a_fault_that_the_plain_store_does_not_support_is_refused(project: Path) -> None:
    done = run(project, "kill")
    assert done.returncode == 254, done.stdout + done.stderr
    assert "does not support the fault 'kill'" in done.stderr
