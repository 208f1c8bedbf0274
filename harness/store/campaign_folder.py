"""Reads and writes the folder of a campaign: its record, and the log of its runs.

    store/campaigns/<name>/
      campaign.json   CampaignRecord: the axes, the seed and the options
      runs.jsonl      the log: one line when a run begins and one when it ends
      failed/         the schedule of each simulated run that was not valid

The log is the only complete record of the runs of a campaign. An interrupted campaign continues
from its log, and the database of runs is rebuilt from it. Each line is written by one system call.
A process that is killed can leave an incomplete last line, which readers ignore and the next writer
removes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.store.atomic_file import write_json
from splitbrain.harness.store.failure_signature import Signature
from splitbrain.harness.store.json_record import check_format, decode, read_bytes
from splitbrain.harness.store.run_row import RunRow

CAMPAIGNS = "campaigns"
RECORD = "campaign.json"
LOG = "runs.jsonl"
FAILED = "failed"
FORMAT = 1


class Axes(msgspec.Struct, frozen=True):
    """The axes of a campaign: the values from which each run gets one system, workload, and so on.

    Runs with the same values differ in their seeds.
    """

    systems: tuple[str, ...]
    workloads: tuple[str, ...]
    kinds: tuple[str, ...]
    """The kinds of faults. A run has none, one or two of them."""
    members: tuple[int, ...]
    strength: int = 2
    """In each round of runs, every combination of values of this many axes is tried."""


class CampaignRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `campaign.json`.

    The record and the number of a run determine everything that is drawn for that run.
    """

    name: str
    seed: int
    axes: Axes
    given: dict[str, Any] = {}
    """The options that all runs have."""
    adaptive: bool = False
    corpus: str = ""
    """The folder of the saved runs that are run first; "" if there is none."""
    saved_runs: tuple[str, ...] = ()
    """The names of the files in `corpus`, in the order in which they are run."""
    started: str = ""
    versions: dict[str, str] = {}
    format: int = FORMAT


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """A line of the log: the run `number` was given to a worker."""

    number: int


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """A line of the log: the run `number` has ended and was judged."""

    number: int
    row: RunRow
    signature: Signature | None = None
    """The signature of the failure (see `failure_signature.py`); None if the run is not invalid."""
    schedule: str = ""
    """The file of the run's schedule, relative to the campaign's folder; "" if it was not kept."""
    first_reached_s: dict[str, float] = {}
    """For a simulated run: the virtual time at which it first reached each situation, such as an
    election."""
    events: int = 0
    """The number of event-loop callbacks of a simulated run, which measures its cost."""
    wall_s: float = 0.0


Line = Begun | Ended


@dataclass(frozen=True, slots=True)
class CampaignFolder:
    """The files of the campaign in the folder `path`."""

    path: Path

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def failed(self) -> Path:
        return self.path / FAILED

    def read_record(self) -> CampaignRecord:
        """Return the content of `campaign.json`.

        Raises BadArguments if this is not the folder of a campaign, or if the file has another
        format.
        """
        file = self.path / RECORD
        data = read_bytes(file, "campaign")
        check_format(file, data, FORMAT)
        return decode(file, data, CampaignRecord, "the record of a campaign")

    def write_record(self, record: CampaignRecord) -> None:
        write_json(self.path / RECORD, record)

    def lines(self) -> Iterator[Line]:
        """Yield the lines of the log.

        An incomplete last line is ignored. Raises BadArguments for any other damaged line.
        """
        decoder = msgspec.json.Decoder(Line)
        if not self.log.is_file():
            return
        with self.log.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return  # The writer was killed while it wrote this line.
                try:
                    yield decoder.decode(line)
                except msgspec.MsgspecError as problem:
                    raise BadArguments(
                        f"{self.log}, line {number}: {problem}; remove this line, and its run is "
                        "done again"
                    ) from problem

    def ended(self) -> dict[int, Ended]:
        """Return the runs that have ended, by their numbers."""
        return {one.number: one for one in self.lines() if isinstance(one, Ended)}


class CampaignLog:
    """A context manager that appends lines to the log of a campaign.

    Only one process can have the log of a campaign open. Another process gets BadArguments.
    """

    def __init__(self, folder: CampaignFolder) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        self._file = os.open(self._folder.log, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o644)
        self._lock()
        self._cut_incomplete_line()
        return self

    def append(self, line: Line) -> None:
        """Append `line` to the log, with one system call."""
        os.write(self._file, msgspec.json.encode(line) + b"\n")

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _problem: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        os.fsync(self._file)
        os.close(self._file)

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            os.close(self._file)
            raise BadArguments(
                f"{self._folder.path}: another process runs this campaign"
            ) from problem

    def _cut_incomplete_line(self) -> None:
        data = self._folder.log.read_bytes()
        if data and not data.endswith(b"\n"):
            os.ftruncate(self._file, data.rfind(b"\n") + 1)


def campaign_folders(store: Path) -> list[CampaignFolder]:
    """Return the folders of the campaigns in `store`, in the order of their names."""
    return [CampaignFolder(file.parent) for file in sorted(store.glob(f"{CAMPAIGNS}/*/{RECORD}"))]


def campaign_folder(store: Path, name: str) -> CampaignFolder:
    """Return the folder of the campaign `name`, whether or not it exists."""
    return CampaignFolder(store / CAMPAIGNS / name)
