"""Reads the records of a run for reports, as far as they can be read.

Reports and tables also show runs that failed, and runs of other releases, whose files may differ.
Therefore these readers never raise an exception. If a file is missing or damaged, or has another
structure, they return None and a sentence about the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.systems.processes.member_files import MemberFiles

T = TypeVar("T")


class PhaseFacts(msgspec.Struct, frozen=True):
    """A phase of the run. Times are in ns since the start of the run."""

    name: str
    begin: int
    end: int


class MemberFacts(msgspec.Struct, frozen=True):
    """A member in `run.json`. `log` and `trace` are paths relative to the run's folder."""

    name: str
    client_url: str = ""
    log: str = ""
    trace: str | None = None


class CrashFacts(msgspec.Struct, frozen=True):
    """A member that ended by itself `at` ns after the start of the run. `how` says how it ended."""

    member: str = ""
    how: str = ""
    at: int = 0


class RunFacts(msgspec.Struct, frozen=True):
    """The content of `run.json`, as far as reports show it.

    `splitbrain.harness.store.records.RunRecord` is the complete structure. Another release may have
    written the file, so the options are not decoded.
    """

    test: str = ""
    seed: int | None = None
    options: dict[str, Any] = {}
    started: str = ""
    members: tuple[MemberFacts, ...] = ()
    versions: dict[str, str] = {}
    phases: tuple[PhaseFacts, ...] = ()
    ended: str = ""
    error: str = ""
    quiet: bool | None = None
    crashes: tuple[CrashFacts, ...] = ()
    clock_origin_ns: int | None = None

    @property
    def system(self) -> str:
        return str(self.options.get("system", ""))

    @property
    def mutant(self) -> str:
        """The planted bug of the members; "" if there is none."""
        return str(self.options.get("mutant", ""))

    @property
    def workload(self) -> str:
        return str(self.options.get("workload", ""))

    @property
    def nemesis(self) -> str:
        named = self.options.get("nemesis", ())
        words = [str(word) for word in named] if isinstance(named, list | tuple) else [str(named)]
        return ", ".join(words) or "none"


class ResultFacts(msgspec.Struct, frozen=True):
    """The part of `results.json` that reports show. `records.Results` is the complete structure."""

    valid: bool | None = None
    verdicts: tuple[Verdict, ...] = ()
    operations: dict[str, dict[str, int]] = {}
    reproduce: str = ""
    load_s: float = 0.0
    rate: float = 0.0
    judged_s: float = 0.0
    error: str = ""

    @property
    def anomalies(self) -> tuple[tuple[str, Anomaly], ...]:
        """All anomalies, each with the name of its checker."""
        return tuple((v.checker, anomaly) for v in self.verdicts for anomaly in v.anomalies)


class StateFacts(msgspec.Struct, frozen=True):
    """The final state of a member, without its log of changes."""

    revision: int = 0
    compact_revision: int = 0
    hash: int = 0
    hash_revision: int = 0
    member_id: int = 0
    leader_id: int = 0
    raft_term: int = 0
    raft_index: int = 0
    raft_applied_index: int = 0
    version: str = ""
    error: str | None = None


def read_run_facts(folder: RunFolder) -> tuple[RunFacts | None, str]:
    """Return the content of `run.json`, and a sentence about a problem with it ("" if none)."""
    return _read(folder.record, RunFacts)


def read_result_facts(folder: RunFolder) -> tuple[ResultFacts | None, str]:
    """Return the content of `results.json`, and a sentence about a problem with it ("" if none)."""
    return _read(folder.results, ResultFacts)


def read_state_facts(member: MemberFiles) -> tuple[StateFacts | None, str]:
    """Return the content of a member's `state.json`, and a sentence about a problem with it.

    The sentence is "" if there is no problem.
    """
    return _read(member.state, StateFacts)


def _read(path: Path, kind: type[T]) -> tuple[T | None, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind), ""
    except FileNotFoundError:
        return None, f"{path.name} is missing"
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as problem:
        return None, f"{path.name} cannot be read: {problem}"
