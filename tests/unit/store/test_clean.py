"""Old runs are removed, and no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.clean import old_runs, remove_runs
from splitbrain.harness.store.records import Results, RunRecord
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.store import make_run_folder, run_folders

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


def test_young_runs_and_runs_that_are_not_valid_stay_if_that_is_asked_for(tmp_path: Path) -> None:
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
    assert names(tmp_path, keep=0) == []


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
