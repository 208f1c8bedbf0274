"""The files of one member: its log, its trace, its data and its final state."""

from __future__ import annotations

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
