"""Tests the rows of `finds.toml`: their options are valid, and one row finds its bug."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from splitbrain import read_options, run_sync
from splitbrain.harness.known_bugs.known_bug import Signature

ROWS = tomllib.loads((Path(__file__).parent / "finds.toml").read_text())["row"]


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_every_row_has_options_of_a_run_and_signatures(row):
    read_options(row["options"])
    assert [msgspec.convert(one, Signature) for one in row.get("shows", ())] or not row["finds"]
    assert row["release"] != row.get("fixed")


@pytest.mark.cluster
@pytest.mark.etcd
def test_a_row_finds_its_bug_in_the_packaged_release(tmp_path):
    row = next(row for row in ROWS if row["name"] == "#15220")
    signatures = [msgspec.convert(one, Signature) for one in row["shows"]]
    for seed in range(1, 4):
        options = {**row["options"], "system": "etcd", "seed": seed, "store": str(tmp_path)}
        result = run_sync(read_options(options), report=False)
        if any(
            signature.matches(verdict.checker, anomaly)
            for verdict in result.results.verdicts for anomaly in verdict.anomalies
            for signature in signatures
        ):
            return
    pytest.fail("the bug was not found in three tries")
