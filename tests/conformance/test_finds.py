"""The scripts of the finds show their bugs without Splitbrain."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.harness.systems.etcd_like.etcd import find_binary

FINDS = Path(__file__).parents[2] / "docs" / "finds"
SCRIPTS = sorted(FINDS.glob("*.py"))
LINES_MAX = 40


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_is_short_and_imports_only_the_standard_library(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= LINES_MAX
    names = [
        name.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)
        for name in node.names
    ]
    assert all(name.partition(".")[0] in sys.stdlib_module_names for name in names)
    assert script.name in (FINDS / f"{script.stem.replace('_', '-')}.md").read_text()


@pytest.mark.cluster
@pytest.mark.etcd
def test_the_transaction_is_refused_by_one_member_and_executed_by_the_others() -> None:
    shown = subprocess.run(
        [sys.executable, FINDS / "txn_range_at_revision.py", find_binary()],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout.splitlines()
    assert "required revision is a future revision" in shown[0]
    assert ["kvs" in line for line in shown[1:]] == [False, True, True]
