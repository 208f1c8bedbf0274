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
    """The files of a member below its own folder `folder`."""

    folder: Path

    @property
    def log(self) -> Path:
        """Standard output and standard error of the member's process."""
        return self.folder / LOG

    @property
    def trace(self) -> Path:
        """Return the write-path trace, if the member writes one."""
        return self.folder / TRACE

    @property
    def data(self) -> Path:
        """Return the member's own data folder."""
        return self.folder / DATA

    @property
    def state(self) -> Path:
        """Return the member's final state, which the harness gathers."""
        return self.folder / STATE
