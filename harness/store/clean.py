"""Removes old runs from the store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.store import point_latest, run_folders

_STARTED = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class OldRun:
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
    """The runs of `store` that may be removed, the oldest first.

    The newest `keep` runs of each test are kept. With `older_than`, runs that started less than
    that long ago are kept too. With `only_valid`, runs that are not valid are kept too. A run that
    is still going on (`ended` is "running") is always kept.
    """
    by_test: dict[Path, list[Path]] = {}
    for folder in run_folders(store):
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
        if results is None and run.read_record().ended == "running":
            continue
        yield OldRun(folder, _size_bytes(folder))


def remove_runs(store: Path, runs: Sequence[OldRun]) -> None:
    """Remove the folders of `runs`. `store/latest` then points to the newest run left."""
    for run in runs:
        shutil.rmtree(run.folder)
        if not any(run.folder.parent.iterdir()):
            run.folder.parent.rmdir()
    left = run_folders(store)
    latest = store / "latest"
    if left:
        if latest.is_symlink() and not latest.exists():
            point_latest(store.absolute(), left[-1].absolute())
    elif latest.is_symlink():
        latest.unlink()


def _age(folder: Path, now: datetime | None) -> timedelta:
    """The time since the run started, computed from the name of its folder.

    If the name has another form, the folder's time of modification is used.
    """
    now = now or datetime.now(UTC)
    try:
        started = datetime.strptime(folder.name.split("-")[0], _STARTED).replace(tzinfo=UTC)
    except ValueError:
        started = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    return now - started


def _size_bytes(folder: Path) -> int:
    """The disk space of the files below `folder`: preallocated blocks count, holes do not."""
    return sum(
        path.lstat().st_blocks * 512 for path in folder.rglob("*") if not path.is_symlink()
    )
