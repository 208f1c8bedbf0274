"""Simulation finds again the bugs that it once found in the member, and that were fixed.

Each has a seed, whose draws may change with later versions, and the schedule that it shrank to. The
schedule must show the bug again in a member that has the bug.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.failures.corpus import SavedRun, read_corpus
from splitbrain.harness.mutants.apply import log_compacted_before_raft_applied
from splitbrain.harness.mutants.storage import clean_pages_trusted
from splitbrain.harness.runs.execute import execute
from splitbrain.harness.runs.execute_twice import execute_twice
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.schedule.text import read_schedule
from splitbrain.node.apply.flush_and_snapshot import BackendFlusher

CORPUS = Path(__file__).resolve().parents[2] / "histories" / "corpus"
SEEDS = [one for one in read_corpus(CORPUS) if one.schedule is None]
SCHEDULES = sorted(CORPUS.glob("*.schedule"))


def count_snapshots_on_the_disk_alone() -> None:
    def _snapshot_due(self: BackendFlusher) -> bool:
        newest = self._storage.snapshot.index
        return self._flushed.index - newest >= self._config.snapshot_count

    BackendFlusher._snapshot_due = _snapshot_due  # type: ignore[method-assign]


RESTORE_BUG: Mapping[str, Callable[[], None]] = {
    "compacted-beyond-applied": log_compacted_before_raft_applied.plant,
    "failed-sync-page-cache": clean_pages_trusted.plant,
    "own-snapshot-behind-a-leaders": count_snapshots_on_the_disk_alone,
}
"""Name of the bug → the function that puts the bug back into the member."""


def in_store(schedule: Schedule, store: str) -> Schedule:
    return replace(schedule, options=replace(schedule.options, store=store))


def found_by(name: str, schedule: Schedule, store: str) -> list[str]:
    """The checkers that find `schedule` invalid in a member with the bug `name`. The bug stays
    in this process."""
    RESTORE_BUG[name]()
    verdicts = execute(in_store(schedule, store)).results.verdicts
    return [one.checker for one in verdicts if one.valid is False]


def test_each_bug_has_a_seed_a_schedule_and_a_description() -> None:
    assert [one.name for one in SEEDS] == [path.stem for path in SCHEDULES] == sorted(RESTORE_BUG)
    assert all(one.why for one in SEEDS)


@pytest.mark.parametrize("saved", SEEDS, ids=lambda one: one.name)
def test_a_bug_that_a_seed_found_does_not_return(saved: SavedRun, tmp_path: Path) -> None:
    given = {**saved.options, "seed": saved.seed, "store": str(tmp_path)}
    result, difference = execute_twice(draw_schedule(read_options(given)))
    assert result.valid is True, result.results.verdicts
    assert difference is None


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_a_bug_that_a_schedule_shows_does_not_return(path: Path, tmp_path: Path) -> None:
    schedule = read_schedule(path)
    result, difference = execute_twice(in_store(schedule, str(tmp_path)))
    assert result.valid is True, result.results.verdicts
    assert difference is None


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_a_schedule_shows_its_bug_in_the_former_member(path: Path, tmp_path: Path) -> None:
    schedule = read_schedule(path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(found_by, (path.stem, schedule, str(tmp_path)))
    assert schedule.fails_by in found
