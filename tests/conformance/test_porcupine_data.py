"""Our verdicts on porcupine's test data equal those of Go porcupine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from splitbrain.checkers.foreign.linearizable import key_value_operations, register_operations
from splitbrain.checkers.porcupine import CheckResult, Model, Operation, check_operations
from splitbrain.checkers.porcupine.models.key_value import key_value, whole_key_value
from splitbrain.checkers.porcupine.models.register import register
from splitbrain.histories.formats.jepsen_log import read_jepsen_log
from splitbrain.histories.formats.porcupine_kv import read_porcupine_kv

DATA = Path(__file__).parents[3] / "shared" / "data" / "porcupine"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"needs porcupine's test data in {DATA}")

LONG = ("c10-bad.txt", "kv-whole")
"""The search needs some seconds for this case; only the benchmark runs it."""
EXPECTED = {"Ok": CheckResult.OK, "Illegal": CheckResult.ILLEGAL}


def cases() -> list[tuple[str, str, str]]:
    verdicts = DATA / "verdicts.json"
    if not verdicts.is_file():
        return []
    files: dict[str, dict[str, Any]] = json.loads(verdicts.read_text())["files"]
    return [
        (name, how, case["verdict"])
        for name, cases_of_file in files.items()
        for how, case in cases_of_file.items()
    ]


def read(name: str, how: str) -> tuple[Model[Any, Any, Any], list[Operation[Any, Any]]]:
    if how == "etcd-register":
        return register(), register_operations(read_jepsen_log(DATA / "jepsen" / name))
    operations = key_value_operations(read_porcupine_kv(DATA / "kv" / name))
    return key_value() if how == "kv-partitioned" else whole_key_value(), operations


@pytest.mark.parametrize(("name", "how", "verdict"), cases())
def test_our_verdict_equals_that_of_go_porcupine(name: str, how: str, verdict: str) -> None:
    model, operations = read(name, how)
    assert check_operations(model, operations) is EXPECTED[verdict]


@pytest.mark.parametrize(
    ("name", "how", "verdict"), [case for case in cases() if case[:2] != LONG]
)
def test_the_verdict_of_the_search_alone_equals_that_of_go_porcupine(
    name: str, how: str, verdict: str
) -> None:
    model, operations = read(name, how)
    assert check_operations(replace(model, decide=None), operations) is EXPECTED[verdict]
