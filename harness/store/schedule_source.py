"""Reads a schedule from a text file or from the folder of a run."""

from __future__ import annotations

from pathlib import Path

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.schedule.text import SUFFIX, read_schedule
from splitbrain.harness.store.repro import read_repro
from splitbrain.harness.store.run_folder import OLD_PLAN, REPRO, SCHEDULE, RunFolder


def is_schedule_text(path: Path) -> bool:
    """Return whether `path` names a text file of a schedule, by its suffix."""
    return path.is_file() and path.suffix == SUFFIX


def schedule_at(path: Path) -> Schedule:
    """Read the schedule in a text file, or the schedule of a run.

    For a run, `path` is its folder or any file in its folder. A `repro.json` may contain the
    schedule itself; otherwise `schedule.json` in the same folder is read. Raises BadArguments if
    there is no schedule, or if the schedule has another format.
    """
    if is_schedule_text(path):
        return read_schedule(path)
    folder = RunFolder(path if path.is_dir() else path.parent)
    has_schedule = any((folder.path / name).exists() for name in (SCHEDULE, OLD_PLAN))
    if path.is_file() and path.name != REPRO and not has_schedule:
        raise BadArguments(
            f"{path} is no {SUFFIX} file, and {path.parent} is not the folder of a run; expected a "
            f"{SUFFIX} file, or the folder of a run, such as store/latest, or a file in it"
        )
    if path.name == REPRO:
        repro = read_repro(path)
        if repro.schedule is not None:
            return repro.schedule
    return folder.read_schedule()
