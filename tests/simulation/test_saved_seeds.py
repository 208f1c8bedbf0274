"""What simulation once found in the member holds now, and is found again in the member as
it was: seeds, each with all its chance, and the schedules that they shrank to."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.corpus import SavedSeed, read_corpus
from harness.options import read_options
from harness.runner import run_sync
from harness.schedule import Schedule
from harness.schedule_text import read_schedule
from harness.scheduled import run_schedule
from harness.twice import run_schedule_twice, run_twice
from node.backend_follower import BackendFollower
from tests.mutants import clean_pages_trusted, log_compacted_before_raft_applied

CORPUS = Path(__file__).resolve().parents[2] / "histories" / "corpus"
SEEDS = read_corpus(CORPUS)
SCHEDULES = sorted(CORPUS.glob("*.schedule"))


def count_snapshots_on_the_disk_alone() -> None:
    def _snapshot_due(self: BackendFollower) -> bool:
        newest = self._storage.snapshot.index
        return self._flushed.index - newest >= self._config.snapshot_count

    BackendFollower._snapshot_due = _snapshot_due  # type: ignore[method-assign]


AS_IT_WAS: Mapping[str, Callable[[], None]] = {
    "compacted-beyond-applied": log_compacted_before_raft_applied.spoil,
    "failed-sync-page-cache": clean_pages_trusted.spoil,
    "own-snapshot-behind-a-leaders": count_snapshots_on_the_disk_alone,
}
"""What brings each bug back."""


def verdict(name: str, found: Schedule | dict[str, Any], store: str) -> bool | None:
    """Of a run of the member with its bug `name`, in this process."""
    AS_IT_WAS[name]()
    if isinstance(found, Schedule):
        return run_schedule(found, store).valid
    return run_sync(read_options(found)).valid


def verdict_with_the_bug(
    name: str, found: Schedule | dict[str, Any], store: Path
) -> bool | None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(verdict, (name, found, str(store)))


def options_of(saved: SavedSeed, store: Path) -> dict[str, Any]:
    return {**saved.options, "seed": saved.seed, "store": str(store)}


def test_each_bug_has_a_seed_and_a_schedule_and_says_what_it_was() -> None:
    assert [one.name for one in SEEDS] == [path.stem for path in SCHEDULES] == sorted(AS_IT_WAS)
    assert all(one.why for one in SEEDS)


@pytest.mark.parametrize("saved", SEEDS, ids=lambda one: one.name)
def test_what_a_seed_found_does_not_come_back(saved: SavedSeed, tmp_path: Path) -> None:
    result, difference = run_twice(read_options(options_of(saved, tmp_path)))
    assert result.valid is True, result.results.verdicts
    assert difference is None
    assert verdict_with_the_bug(saved.name, options_of(saved, tmp_path), tmp_path) is False


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_what_a_schedule_shows_does_not_come_back(path: Path, tmp_path: Path) -> None:
    schedule = read_schedule(path)
    result, difference = run_schedule_twice(schedule, str(tmp_path))
    assert result.valid is True, result.results.verdicts
    assert difference is None
    assert verdict_with_the_bug(path.stem, schedule, tmp_path) is False
