"""Saved seeds of simulated runs, each of which once found a bug of the member's: they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.corpus import SavedSeed, read_corpus
from harness.options import read_options
from harness.twice import run_twice

SAVED = read_corpus(Path(__file__).resolve().parents[2] / "histories" / "corpus")


def test_there_are_saved_seeds_and_each_says_what_it_found() -> None:
    assert SAVED
    assert all(one.why for one in SAVED)


@pytest.mark.parametrize("saved", SAVED, ids=lambda one: one.name)
def test_what_was_found_once_does_not_come_back(saved: SavedSeed, tmp_path: Path) -> None:
    asked: dict[str, Any] = {**saved.options, "seed": saved.seed, "store": str(tmp_path)}
    result, difference = run_twice(read_options(asked))
    assert result.valid is True, result.results.verdicts
    assert difference is None
