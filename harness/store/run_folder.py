"""Defines the folder of one run: the name, the reader and the writer of every file in it.

    store/<test>/<time>-<seed>/
      run.json        RunRecord: what ran, with which options, and how it ended
      schedule.json   Schedule: everything that determines the run
      repro.json      Repro: the versions of the run and the command that repeats it
      history.jsonl   the events of operations and faults, one per line, as they were recorded
      nemesis.jsonl   the events of the process "nemesis" alone
      watch.jsonl     the watchers' requests and answers (`histories/watch.py`)
      clients.log     warnings of the libraries that a user's client uses
      results.json    Results: the verdicts
      report.html     the report
      n1/ …           a folder for each member: log, trace.jsonl, state.json, data/

`history.jsonl`, `nemesis.jsonl`, `watch.jsonl` and `trace.jsonl` are written event by event during
the run, by the recorders in `splitbrain.histories` and by the members.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.schedule import FORMAT as SCHEDULE_FORMAT
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.atomic_file import write_json
from splitbrain.harness.store.json_record import check_format, decode, read_bytes
from splitbrain.harness.store.records import Repro, Results, RunRecord
from splitbrain.harness.store.repro import read_repro
from splitbrain.harness.store.zero_tails import free_zero_tails
from splitbrain.harness.systems.processes.member_files import MemberFiles
from splitbrain.histories.event import Event, FaultEvent
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.watch import FILE_NAME as WATCHES

RUN = "run.json"
SCHEDULE = "schedule.json"
REPRO = "repro.json"
HISTORY = "history.jsonl"
NEMESIS = "nemesis.jsonl"
RESULTS = "results.json"
REPORT = "report.html"
CLIENT_LOG = "clients.log"

MEMBER_NAME = re.compile(r"[\w-]+")

OLD_PLAN = "plan.json"
"""The file that Splitbrain 0.1.0 wrote instead of `schedule.json`."""


class _WithSettings(msgspec.Struct):
    """The part of `schedule.json` that `RunFolder.read_settings` reads."""

    settings: dict[str, int | bool] = {}


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of the run in the folder `path`."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path / RUN

    @property
    def history(self) -> Path:
        return self.path / HISTORY

    @property
    def nemesis(self) -> Path:
        return self.path / NEMESIS

    @property
    def watches(self) -> Path:
        return self.path / WATCHES

    @property
    def report(self) -> Path:
        return self.path / REPORT

    @property
    def client_log(self) -> Path:
        return self.path / CLIENT_LOG

    @property
    def results(self) -> Path:
        return self.path / RESULTS

    def member(self, name: str) -> MemberFiles:
        return MemberFiles(self.path / name)

    # --- run.json ------------------------------------------------------------------

    def read_record(self) -> RunRecord:
        """Return the content of `run.json`.

        Raises BadArguments if this is not the folder of a run.
        """
        file = self.record
        try:
            return msgspec.json.decode(file.read_bytes(), type=RunRecord)
        except OSError as problem:
            raise BadArguments(
                f"{self.path} is not the folder of a run: {RUN} cannot be read "
                f"({problem.strerror})"
            ) from problem
        except msgspec.MsgspecError as problem:
            raise BadArguments(f"{file} is not the record of a run: {problem}") from problem

    def write_record(self, record: RunRecord) -> None:
        write_json(self.record, record)

    # --- schedule.json ---------------------------------------------------------------

    def read_schedule(self) -> Schedule:
        """Return the schedule of the run.

        Raises BadArguments if `schedule.json` is missing, damaged or of another format.
        """
        file = self.path / SCHEDULE
        if not file.is_file() and (self.path / OLD_PLAN).is_file():
            raise BadArguments(
                f"{self.path} is a run of Splitbrain 0.1.0 ({OLD_PLAN}, format 1); this "
                f"Splitbrain replays format {SCHEDULE_FORMAT}: replay it with version 0.1.0, or "
                "replay a .schedule file of it, which any version reads"
            )
        data = read_bytes(file, "schedule")
        check_format(file, data, SCHEDULE_FORMAT)
        schedule = decode(file, data, Schedule, "a schedule")
        wrong = [name for name in schedule.members if not MEMBER_NAME.fullmatch(name)]
        if wrong:
            raise BadArguments(
                f"{file} names the member {wrong[0]!r}; expected letters, digits, - and _, because "
                "each member has a folder of its name"
            )
        return schedule

    def read_settings(self) -> Mapping[str, int | bool]:
        """Return the members' settings in the schedule; {} if no schedule can be read."""
        file = self.path / SCHEDULE
        try:
            return msgspec.json.decode(file.read_bytes(), type=_WithSettings).settings
        except (OSError, msgspec.MsgspecError):
            return {}

    def write_schedule(self, schedule: Schedule) -> None:
        (self.path / SCHEDULE).write_bytes(msgspec.json.encode(schedule))

    # --- repro.json --------------------------------------------------------------------

    def read_repro(self) -> Repro:
        """Return the content of `repro.json`.

        Raises BadArguments if the file is missing, damaged or of another format.
        """
        return read_repro(self.path / REPRO)

    def write_repro(self, repro: Repro) -> None:
        write_json(self.path / REPRO, repro)

    # --- results.json ------------------------------------------------------------------

    def read_results(self) -> Results | None:
        """Return the results; None if the run was not judged, or if they cannot be read."""
        try:
            return msgspec.json.decode(self.results.read_bytes(), type=Results)
        except (OSError, msgspec.MsgspecError):
            return None

    def write_results(self, results: Results) -> None:
        write_json(self.results, results)

    # --- nemesis.jsonl -----------------------------------------------------------------

    def fault_events(self) -> Iterator[FaultEvent]:
        """Yield the events of the faults, in the order in which they were recorded."""
        event, value = msgspec.json.Decoder(Event), msgspec.json.Decoder(FaultEvent)
        for line in self.nemesis.read_bytes().splitlines():
            yield value.decode(event.decode(line).value)

    # --- the members' folders ----------------------------------------------------------

    def read_state(self, member: str) -> MemberState | None:
        """Return the final state of a member; None if it was not gathered.

        If the file cannot be decoded, the state contains only the error.
        """
        file = self.member(member).state
        if not file.is_file():
            return None
        try:
            return msgspec.json.decode(file.read_bytes(), type=MemberState)
        except msgspec.MsgspecError as problem:
            return MemberState(member, error=f"{file.name} does not contain a state: {problem}")

    def write_state(self, state: MemberState) -> None:
        files = self.member(state.member)
        files.folder.mkdir(exist_ok=True)
        write_json(files.state, state)

    def remove_data(self, members: Sequence[str]) -> None:
        """Remove the data folders of `members`. Their logs, traces and states are kept."""
        for member in members:
            shutil.rmtree(self.member(member).data, ignore_errors=True)

    def compact_data(self, members: Sequence[str]) -> None:
        """Free the disk space that the members' data folders do not need."""
        for member in members:
            free_zero_tails(self.member(member).data)
