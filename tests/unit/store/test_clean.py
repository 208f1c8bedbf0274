"""`splitbrain runs clean` removes old runs and nothing else."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.old_runs import OldRun, old_runs, remove_runs
from splitbrain.harness.store.records import Results, RunRecord
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.run_folders import make_run_folder, run_folders

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def a_run(store: Path, test: str, days_ago: int, *, valid: bool | None = True) -> RunFolder:
    started = NOW - timedelta(days=days_ago)
    folder = make_run_folder(store, test, days_ago, started)
    folder.write_record(RunRecord(test, days_ago, Options(), "", ended="time limit"))
    folder.write_results(Results(valid, (), {}, (), ""))
    return folder


def names(store: Path, **limits: object) -> list[str]:
    found = old_runs(store, now=NOW, **limits)  # type: ignore[arg-type]
    return [f"{run.folder.parent.name}-{run.folder.name.rpartition('-')[2]}" for run in found]


def test_the_newest_runs_of_each_test_stay(tmp_path: Path) -> None:
    for days in (1, 2, 3):
        a_run(tmp_path, "a", days)
    a_run(tmp_path, "b", 9)
    assert names(tmp_path, keep=1) == ["a-3", "a-2"]
    assert names(tmp_path, keep=0) == ["b-9", "a-3", "a-2", "a-1"]


def test_young_runs_and_runs_that_are_not_valid_can_be_kept(tmp_path: Path) -> None:
    a_run(tmp_path, "a", 1)
    a_run(tmp_path, "a", 8)
    a_run(tmp_path, "a", 9, valid=False)
    a_run(tmp_path, "a", 10, valid=None)
    week = timedelta(days=7)
    assert names(tmp_path, keep=0, older_than=week) == ["a-10", "a-9", "a-8"]
    assert names(tmp_path, keep=0, older_than=week, only_valid=True) == ["a-8"]


def test_a_run_that_goes_on_stays(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path, "a", 1, NOW - timedelta(days=1))
    folder.write_record(RunRecord("a", 1, Options(), ""))
    os.utime(folder.record, (NOW.timestamp() - 60,) * 2)
    assert names(tmp_path, keep=0) == []
    os.utime(folder.record, (NOW.timestamp() - 7_200,) * 2)
    assert names(tmp_path, keep=0) == ["a-1"]


def test_nothing_outside_the_store_is_removed(tmp_path: Path) -> None:
    """A test folder that is a link belongs to somebody else."""
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    a_run(store, "a", 3)
    outside = a_run(elsewhere, "b", 3).path
    (store / "linked").symlink_to(outside.parent)
    (store / "a" / "run").symlink_to(outside)
    found = list(old_runs(store, keep=0, now=NOW))
    assert [run.folder.parent.name for run in found] == ["a"]
    remove_runs(store, found)
    assert (outside / "run.json").is_file()
    with pytest.raises(ValueError, match="is not a folder of a run"):
        remove_runs(store, [OldRun(outside, 0)])
    assert (outside / "run.json").is_file()


def test_folders_without_a_record_and_with_a_torn_one_are_removed_when_they_are_old(
    tmp_path: Path,
) -> None:
    for test, name in (("cluster", "schedule.json"), ("torn", "run.json")):
        folder = make_run_folder(tmp_path, test, 1, NOW - timedelta(days=1)).path
        (folder / name).write_text("{")
        os.utime(folder / name, (NOW.timestamp() - 86_400,) * 2)
    assert names(tmp_path, keep=0) == ["cluster-1", "torn-1"]


def test_the_command_removes_folders_and_moves_the_link_to_the_newest_run_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = a_run(tmp_path, "a", 2).path
    a_run(tmp_path, "b", 1)
    assert run_main(["runs", "clean", "--store", str(tmp_path), "--keep", "0", "--dry-run"]) == 0
    assert "2 runs would be removed" in capsys.readouterr().out
    assert len(run_folders(tmp_path)) == 2
    remove_runs(tmp_path, [run for run in old_runs(tmp_path, keep=0) if run.folder != kept])
    assert run_folders(tmp_path) == [kept]
    assert (tmp_path / "latest").resolve() == kept.resolve()
    assert run_main(["runs", "clean", "--store", str(tmp_path), "--keep", "0"]) == 0
    assert run_folders(tmp_path) == []
    assert not (tmp_path / "latest").is_symlink()
    assert run_main(["runs", "clean", "--store", str(tmp_path), "--older-than", "soon"]) == 254
