"""Our search against Go porcupine's verdicts on its own test data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from checkers.logged import key_value_operations, register_operations
from checkers.porcupine import CheckResult, check_operations
from checkers.porcupine.models.key_value import key_value, whole_key_value
from checkers.porcupine.models.register import register
from histories.formats.jepsen_log import read_jepsen_log
from histories.formats.porcupine_kv import read_porcupine_kv

DATA = Path(__file__).parents[3] / "shared" / "data" / "porcupine"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: data from elsewhere")

EXPECTED = {"Ok": CheckResult.OK, "Illegal": CheckResult.ILLEGAL}


def cases() -> list[tuple[str, str, str]]:
    verdicts = DATA / "verdicts.json"
    if not verdicts.is_file():
        return []
    files: dict[str, dict[str, Any]] = json.loads(verdicts.read_text())["files"]
    return [(name, how, told["verdict"]) for name, by in files.items() for how, told in by.items()]


def judge(name: str, how: str) -> CheckResult:
    if how == "etcd-register":
        logged = read_jepsen_log(DATA / "jepsen" / name)
        return check_operations(register(), register_operations(logged))
    operations = key_value_operations(read_porcupine_kv(DATA / "kv" / name))
    model: Any = key_value() if how == "kv-partitioned" else whole_key_value()
    return check_operations(model, operations)


@pytest.mark.parametrize(("name", "how", "verdict"), cases())
def test_our_verdict_is_that_of_go_porcupine(name: str, how: str, verdict: str) -> None:
    assert judge(name, how) is EXPECTED[verdict]
