"""Makes and lists the folders of runs, `store/<test>/<time>-<seed>/`, and the link `store/latest`.

`store/latest` points to the newest run. Several runs may start in the same second with the same
seed, in one process or in many (`pytest -n`). A run's folder is made by one `mkdir`, which succeeds
for only one of these runs. The others try the name with a number at the end.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

from splitbrain.harness.store.run_folder import RUN, SCHEDULE, RunFolder

FOLDERS_PER_SECOND_MAX = 10_000


def make_run_folder(
    store: Path, test: str, seed: int, now: datetime | None = None
) -> RunFolder:
    """Make a new, empty folder for a run, and let `store/latest` point to it.

    The path of the folder is absolute.
    """
    started = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    parent = store.absolute() / test
    parent.mkdir(parents=True, exist_ok=True)
    shown = f"minus{-seed}" if seed < 0 else str(seed)
    for number in range(1, FOLDERS_PER_SECOND_MAX):
        folder = parent / (f"{started}-{shown}" + (f"-{number}" if number > 1 else ""))
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        point_latest(store.absolute(), folder)
        return RunFolder(folder)
    raise FileExistsError(f"{parent}: {FOLDERS_PER_SECOND_MAX} runs in one second")


def point_latest(store: Path, folder: Path) -> None:
    """Make `store/latest` a relative link to `folder`, atomically.

    If `latest` exists and is not a link, it is not changed, because this module did not make it.
    """
    latest = store / "latest"
    if latest.exists() and not latest.is_symlink():
        return
    fresh = store / f".latest-{os.getpid()}-{folder.name}"
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(os.path.relpath(folder, store))
    fresh.replace(latest)


def run_folders(store: Path) -> list[Path]:
    """Return the folders in `store` that contain the record of a run, the oldest first."""
    return _folders_with(store, (RUN,))


def begun_folders(store: Path) -> list[Path]:
    """Return the folders in `store` that contain a record or a schedule, the oldest first.

    There are three kinds:

    - the folders that `run_folders` returns;
    - the folders of clusters that tests started;
    - the folders of runs that ended before they wrote a record.
    """
    return _folders_with(store, (RUN, SCHEDULE))


def _folders_with(store: Path, names: tuple[str, ...]) -> list[Path]:
    """Return the folders `store/<test>/<run>` that contain one of the files `names`.

    The oldest folder comes first. Symbolic links are left out, because the folders that they name
    are elsewhere.
    """
    found = {
        path.parent
        for name in names for path in store.glob(f"*/*/{name}")
        if not path.parent.is_symlink() and not path.parent.parent.is_symlink()
    }
    return sorted(found, key=lambda folder: (folder.name.split("-")[0], str(folder)))
