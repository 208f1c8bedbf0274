"""The folders of runs in a store: their names, their order, and the link to the newest one."""

import multiprocessing
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from splitbrain.harness.store.atomic_file import write_json
from splitbrain.harness.store.run_folders import make_run_folder, run_folders

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_many(store: str, pipe: Connection) -> None:
    pipe.send([str(make_run_folder(Path(store), "t", 7, NOW).path) for _ in range(20)])


def test_runs_of_one_second_and_seed_never_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    pipes = []
    for _ in range(3):
        ours, theirs = context.Pipe()
        context.Process(target=make_many, args=(str(tmp_path), theirs)).start()
        pipes.append(ours)
    folders = [folder for pipe in pipes for folder in pipe.recv()]
    assert len(set(folders)) == 60
    assert all(Path(folder).is_dir() for folder in folders)


def test_latest_points_to_the_newest(tmp_path: Path) -> None:
    first = make_run_folder(tmp_path, "t", 1, NOW).path
    assert (tmp_path / "latest").resolve() == first
    second = make_run_folder(tmp_path, "u", 2, NOW).path
    assert (tmp_path / "latest").resolve() == second
    assert first.name == "20260102T030405Z-1"


def test_a_file_named_latest_that_is_not_a_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    make_run_folder(tmp_path, "t", 1, NOW)
    assert not (tmp_path / "latest").is_symlink()


def test_runs_are_listed_the_oldest_first(tmp_path: Path) -> None:
    late = make_run_folder(tmp_path, "a", 1, datetime(2027, 1, 1, tzinfo=UTC)).path
    early = make_run_folder(tmp_path, "b", 1, NOW).path
    make_run_folder(tmp_path, "c", 1, NOW)  # without run.json it is not a run
    for folder in (late, early):
        write_json(folder / "run.json", {})
    assert run_folders(tmp_path) == [early, late]
    assert not list(early.glob(".run*"))


def test_a_value_that_cannot_be_written_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "a.json", {"old": 1})

    def refuse(self: Path, mode: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(OSError, match="No space"):
        write_json(tmp_path / "a.json", {"new": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert "old" in (tmp_path / "a.json").read_text()
