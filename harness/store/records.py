"""Defines the structures of `run.json`, `results.json` and `repro.json` in the folder of a run."""

from __future__ import annotations

from typing import Literal

import msgspec

from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.processes.crash import Crash
from splitbrain.harness.systems.tls.tls_probe import TlsProbe

FORMAT = 1
"""This number is incremented when a file in a run's folder changes its meaning."""

PROCESS_NOTE = (
    "Real processes repeat the schedule (operations, faults, their times), not the interleaving."
)
SIMULATED_NOTE = "The same sources repeat a simulated run byte for byte: compare the digests."

Ended = Literal["running", "time limit", "interrupted", "failed"]
PhaseName = Literal["set-up", "load", "heal", "quiet", "final writes", "final reads", "gather"]


class Phase(msgspec.Struct, frozen=True):
    """A part of the run, such as the load. Times are in ns since the start of the run."""

    name: PhaseName
    begin: int
    end: int


class Stall(msgspec.Struct, frozen=True):
    """A period in which the harness had work to do but did not run, in ns since the run's start.

    The machine was overloaded or suspended. Perhaps the members did not run in this period either.
    """

    begin: int
    end: int


class MemberRecord(msgspec.Struct, frozen=True):
    """A member, and the paths of its files, relative to the folder of the run."""

    name: str
    client_url: str
    peer_url: str
    log: str
    trace: str | None = None


class RunRecord(msgspec.Struct, frozen=True):
    """The content of `run.json`.

    The file is written at the start of the run, after the set-up, and at the end.
    """

    test: str
    seed: int
    options: Options
    started: str
    """The time of the start in UTC, ISO 8601, to the second."""
    members: tuple[MemberRecord, ...] = ()
    versions: dict[str, str] = {}
    phases: tuple[Phase, ...] = ()
    ended: Ended = "running"
    error: str = ""
    """The reason why the run failed; "" if it did not fail."""
    quiet: bool | None = None
    """Whether the members agreed in time after all faults were healed; None if the run ended
    earlier."""
    crashes: tuple[Crash, ...] = ()
    """The members that ended by themselves, in the order in which the harness noticed their
    ends."""
    ended_members: tuple[str, ...] = ()
    """The members that were not running at the end, because they had crashed."""
    tls_probes: tuple[TlsProbe, ...] = ()
    """The connections with which the harness tested the members' TLS; empty without TLS."""
    serving: tuple[str, ...] = ()
    """The members that serve writes and linearizable reads, as the system under test declares."""
    stalls: tuple[Stall, ...] = ()
    clock_origin_ns: int | None = None
    """The start of the run on the clock of the members' traces, in ns."""
    format: int = FORMAT


class FaultCount(msgspec.Struct, frozen=True):
    """One fault, and the outcomes of the operations that were invoked while it was active.

    `begin` and `end` are in ns since the start of the run; `end` is None if the fault was never
    healed.
    """

    fault: int
    f: str
    members: tuple[str, ...]
    begin: int
    end: int | None
    outcomes: dict[str, int]
    """The number of operations by outcome: ok, fail, info."""
    failed: str = ""
    """The reason why the fault could not be injected or healed; "" if it could."""
    effect: str | None = None
    """What the fault has changed; "" if it has changed nothing, None if that is unknown."""


class Results(msgspec.Struct, frozen=True):
    """The content of `results.json`.

    `valid` is False (invalid) if one of `verdicts` is False. Otherwise it is None (unknown) if one
    of `verdicts` is None, if there are no verdicts, or if the run failed. Otherwise it is True.
    """

    valid: bool | None
    verdicts: tuple[Verdict, ...]
    operations: dict[str, dict[str, int]]
    """The number of operations by function and outcome. The entry "all" contains the sums."""
    faults: tuple[FaultCount, ...]
    reproduce: str
    """The command that repeats the run."""
    load_s: float = 0.0
    rate: float = 0.0
    """The number of operations per second of load that ended with outcome `ok` or `fail`."""
    judged_s: float = 0.0
    """The duration of judging, in s."""
    digest: str = ""
    """The SHA-256 of history, watch streams, final states and traces of a simulated run; "" for
    other runs."""
    error: str = ""
    """The reason why the harness or the system under test failed; "" if neither failed."""
    format: int = FORMAT


class Repro(msgspec.Struct, frozen=True):
    """The content of `repro.json`: how to repeat the run on another machine.

    A replay reads the schedule from the field `schedule`. If this field is None, as in every
    `repro.json` that a run writes, the replay reads `schedule.json` in the same folder.
    """

    seed: int
    options: Options
    versions: dict[str, str]
    byte_for_byte: bool = False
    """Whether a repetition is equal byte for byte: True for simulated runs."""
    note: str = PROCESS_NOTE
    command: str = ""
    """The command that repeats the run."""
    schedule: Schedule | None = None
    format: int = FORMAT
