"""Removes old runs from the store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from splitbrain.harness.store.database.database import remove_folders
from splitbrain.harness.store.lenient_records import read_run_facts
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.run_folders import begun_folders, point_latest

RUNNING_AFTER_CHANGE = timedelta(hours=1)
"""A run without a recorded end is regarded as running until this time after its last change."""
_STARTED = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class OldRun:
    """A run that can be removed, and its size on disk in bytes."""

    folder: Path
    size_bytes: int


def old_runs(
    store: Path,
    *,
    keep: int,
    older_than: timedelta | None = None,
    only_valid: bool = False,
    now: datetime | None = None,
) -> Iterator[OldRun]:
    """Yield the runs in `store` that can be removed, the oldest first.

    These runs are kept:

    - the newest `keep` runs of each test;
    - if `older_than` is given, runs that are younger than `older_than`;
    - if `only_valid` is True, runs that are invalid or unknown;
    - runs that may still be in progress.

    `now` replaces the current time.
    """
    by_test: dict[Path, list[Path]] = {}
    for folder in begun_folders(store):
        by_test.setdefault(folder.parent, []).append(folder)
    candidates = [
        folder for folders in by_test.values() for folder in folders[: max(len(folders) - keep, 0)]
    ]
    for folder in sorted(candidates, key=lambda path: (path.name, str(path))):
        if older_than is not None and _age(folder, now) < older_than:
            continue
        run = RunFolder(folder)
        results = run.read_results()
        if only_valid and (results is None or results.valid is not True):
            continue
        if results is None and _may_run(run, now):
            continue
        yield OldRun(folder, _size_bytes(folder))


def remove_runs(store: Path, runs: Sequence[OldRun]) -> None:
    """Remove the folders of `runs`, and their rows in the database.

    If `store/latest` pointed to a removed run, it then points to the newest remaining run. Raises
    OSError if a folder cannot be removed, and ValueError for a folder outside the store.
    """
    root = store.resolve()
    removed: list[Path] = []
    try:
        for run in runs:
            if not run.folder.resolve().is_relative_to(root) or run.folder.is_symlink():
                raise ValueError(f"{run.folder} is not a folder of a run in {store}")
            shutil.rmtree(run.folder)
            removed.append(run.folder)
            if not any(run.folder.parent.iterdir()):
                run.folder.parent.rmdir()
    finally:
        _repoint_latest(store)
        remove_folders(store, removed)


def _repoint_latest(store: Path) -> None:
    latest = store / "latest"
    if not latest.is_symlink() or latest.exists():
        return
    left = begun_folders(store)
    if left:
        point_latest(store.absolute(), left[-1].absolute())
    else:
        latest.unlink()


def _may_run(run: RunFolder, now: datetime | None) -> bool:
    """Return whether the run may still be in progress.

    Two conditions must be met:

    - The record is unreadable, or it contains no end.
    - A file of the run has changed within `RUNNING_AFTER_CHANGE`.
    """
    facts, _ = read_run_facts(run)
    if facts is not None and facts.ended != "running":
        return False
    changed = max(
        (path.stat().st_mtime for path in run.path.rglob("*") if path.is_file()), default=0.0
    )
    since = (now or datetime.now(UTC)) - datetime.fromtimestamp(changed, UTC)
    return since < RUNNING_AFTER_CHANGE


def _age(folder: Path, now: datetime | None) -> timedelta:
    """Return the time since the run started, computed from the name of its folder.

    If the name has another form, the modification time of the folder is used. `now` replaces the
    current time.
    """
    now = now or datetime.now(UTC)
    try:
        started = datetime.strptime(folder.name.split("-")[0], _STARTED).replace(tzinfo=UTC)
    except ValueError:
        started = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    return now - started


def _size_bytes(folder: Path) -> int:
    """Return the disk space that the files below `folder` take, in bytes.

    Preallocated blocks count, and holes in files do not.
    """
    return sum(
        path.lstat().st_blocks * 512 for path in folder.rglob("*") if not path.is_symlink()
    )
