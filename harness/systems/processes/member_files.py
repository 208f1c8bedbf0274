"""The files of one member: its log, its trace, its data and its final state."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

LOG = "log"
TRACE = "trace.jsonl"
DATA = "data"
STATE = "state.json"


@dataclass(frozen=True, slots=True)
class MemberFiles:
    """The paths of a member's files below the member's folder, `folder`."""

    folder: Path

    @property
    def log(self) -> Path:
        """Return the path of the log, which contains the output of the member's process."""
        return self.folder / LOG

    @property
    def trace(self) -> Path:
        """Return the path of the write-path trace.

        The file exists only if the member writes one.
        """
        return self.folder / TRACE

    @property
    def data(self) -> Path:
        """Return the path of the member's data folder."""
        return self.folder / DATA

    @property
    def state(self) -> Path:
        """Return the path of the member's final state, which the harness writes."""
        return self.folder / STATE

    def clear(self) -> None:
        """Delete everything in the member's folder except its logs."""
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if path.name == LOG or path.suffix == f".{LOG}":
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
