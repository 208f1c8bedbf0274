"""The store of runs: `store/<test>/<time>-<seed>/`, and `store/latest` -> the newest.

Several runs may start in the same second with the same seed, in one process or in
many (pytest -n): a run's folder is made by one `mkdir`, which only one can win; the
others take the name with a number behind it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

FOLDERS_PER_SECOND_MAX = 10_000


def make_run_folder(store: Path, test: str, seed: int, now: datetime | None = None) -> Path:
    """A new, empty folder for a run, absolute; `latest` points to it from now on."""
    started = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    parent = store.absolute() / test
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, FOLDERS_PER_SECOND_MAX):
        folder = parent / (f"{started}-{seed}" + (f"-{number}" if number > 1 else ""))
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        point_latest(store.absolute(), folder)
        return folder
    raise FileExistsError(f"{parent}: {FOLDERS_PER_SECOND_MAX} runs in one second")


def point_latest(store: Path, folder: Path) -> None:
    """Let `store/latest` be a relative link to `folder`, replaced in one step.

    What stands there and is no link is left alone: it is not ours.
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
    """Folders of runs in `store`, the oldest first."""
    found = [path.parent for path in store.glob("*/*/run.json") if not path.parent.is_symlink()]
    return sorted(set(found), key=lambda folder: (folder.name.split("-")[0], str(folder)))


def write_json(path: Path, value: object) -> None:
    """`value` as indented JSON at `path`, whole or not at all."""
    data = msgspec.json.format(msgspec.json.encode(value), indent=2)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    aside = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data + b"\n")
        aside.chmod(0o644)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
