"""Writes the folder of an invented run, as large or as hostile as a test needs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.records import MemberRecord, Phase, Results, RunRecord
from splitbrain.histories.event import NEMESIS, Event, FaultEvent
from splitbrain.histories.event import Phase as FaultPhase
from splitbrain.histories.history import Outcome
from splitbrain.histories.kv import Header, KeyValue, Put, PutResult, Range, RangeResult
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.trace import TraceEvent

S = 1_000_000_000
MS = 1_000_000

FAULTS = (
    ("kill", 3, 6, ("n2",), {"fault": "kill", "target": "leader"}),
    ("partition", 5, 9, ("n1",), {"fault": "partition", "shape": "isolate", "how": "cut"}),
    ("pause", 12, 14, ("n3",), {"fault": "pause", "target": "follower"}),
    ("latency", 13, 19, ("n1", "n3"), {"fault": "latency", "delay_ms": 50}),
    ("kill", 24, None, ("n1", "n2"), {"fault": "kill", "target": "majority"}),
)


@dataclass
class SyntheticRun:
    """The parameters of the run. `hostile` is put into values, errors, logs and documents.

    Operations are spread over `seconds`. 0.8 % of them fail and 0.7 % have unknown outcome.
    """

    operations: int = 300
    clients: int = 8
    seconds: float = 30.0
    valid: bool | None = True
    anomalies: tuple[Anomaly, ...] = ()
    traced: bool = True
    faults: tuple[Any, ...] = FAULTS
    members: tuple[str, ...] = ("n1", "n2", "n3")
    hostile: str = ""
    seed: int = 7
    rng: Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)


def write_run(folder: Path, made: SyntheticRun) -> Path:
    """Write the files of `made` into `folder`; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    events, writes = _operations(made)
    events += _faults(made)
    events.sort(key=lambda event: event.time)
    numbered = [msgspec.structs.replace(event, index=at) for at, event in enumerate(events)]
    _lines(folder / "history.jsonl", numbered)
    _lines(folder / "nemesis.jsonl", [event for event in numbered if event.process == NEMESIS])
    _records(folder, made, numbered)
    for place, member in enumerate(made.members):
        _member(folder, made, member, place, writes)
    return folder


def _lines(path: Path, values: list[Any]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(value) + b"\n" for value in values))


def _operations(made: SyntheticRun) -> tuple[list[Event], list[tuple[int, int, int, str]]]:
    """Events without indexes, and (time, revision, request, node) of each write."""
    rng = made.rng
    events: list[Event] = []
    writes: list[tuple[int, int, int, str]] = []
    free = [(int(rng.random() * 10 * MS), client) for client in range(made.clients)]
    next_process, revision = made.clients, 1
    state: dict[str, KeyValue] = {}
    think_ns = made.seconds * S * made.clients / max(1, made.operations)
    for number in range(made.operations):
        free.sort()
        at, process = free.pop(0)
        node = rng.choice(made.members)
        key = f"r{rng.randrange(5)}"
        took = int(rng.lognormvariate(1.2, 0.6) * MS * (8 if 3 < at / S < 6 else 1))
        outcome: Outcome = rng.choices(("ok", "fail", "info"), (985, 8, 7))[0]
        took = 2_000 * MS if outcome == "info" else took
        request: Any
        if rng.random() < 0.5:
            value = made.hostile or str(number)
            request = Put(key, value)
            if outcome == "ok":
                revision += 1
                writes.append((at, revision, 7_000_000_000 + number, node))
                old = state.get(key)
                state[key] = KeyValue(
                    key,
                    value,
                    old.create_revision if old else revision,
                    revision,
                    old.version + 1 if old else 1,
                )
            answer: Any = PutResult(Header(revision, 11, 22, 2))
        else:
            request = Range(key)
            kvs = (state[key],) if key in state else ()
            answer = RangeResult(Header(revision, 11, 22, 2), kvs, len(kvs))
        f = "put" if isinstance(request, Put) else "get"
        events.append(Event(0, at, process, "invoke", f, _raw(request), node))
        error = None if outcome == "ok" else made.hostile or f"{outcome}: etcdserver: no leader"
        value_at_end = _raw(answer) if outcome == "ok" else _raw(request)
        events.append(Event(0, at + took, process, outcome, f, value_at_end, node, error))
        again = at + took + int(rng.expovariate(1 / max(1.0, think_ns - took)))
        if outcome == "info":
            process, next_process = next_process, next_process + 1
        free.append((again, process))
    return events, writes


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _faults(made: SyntheticRun) -> list[Event]:
    events = []
    for number, (kind, begin, end, members, detail) in enumerate(made.faults, start=1):
        scale = made.seconds / 30 * S
        phases: list[tuple[FaultPhase, float, tuple[str, ...]]] = [
            ("begin", begin, ()), ("began", begin + 0.05, members),
        ]
        if end is not None:
            phases += [("end", end, members), ("ended", end + 0.1, members)]
        for phase, at, hit in phases:
            value = FaultEvent(number, phase, hit, _raw(detail))
            events.append(Event(0, int(at * scale), NEMESIS, "info", kind, _raw(value)))
    return events


def _records(folder: Path, made: SyntheticRun, events: list[Event]) -> None:
    options = Options(seed=made.seed, clients=made.clients, time_limit_s=made.seconds)
    members = tuple(
        MemberRecord(
            name, f"http://127.0.0.1:{2379 + at}", "", f"{name}/log", f"{name}/trace.jsonl"
        )
        for at, name in enumerate(made.members)
    )
    record = RunRecord(
        "python_node-register",
        made.seed,
        options,
        "2026-01-02T03:04:05Z",
        members,
        {"python": "3.11.7", "splitbrain": "0.1.0"},
        (Phase("load", 0, int(made.seconds * S)),),
        "time limit",
        quiet=True,
    )
    (folder / "run.json").write_bytes(msgspec.json.encode(record))
    counts = {"judged": made.operations, "longest search ms": 12.5}
    verdicts = (
        Verdict("linearizability", made.valid, made.anomalies, counts, "", 0.41),
        Verdict("mvcc", True, (), {"revisions": 123}, "", 0.02),
        Verdict("write_path", None, (), {}, "no member traced", 0.0)
        if not made.traced
        else Verdict("write_path", True, (), {"writes": 100}, "", 0.2),
    )
    ends = [event for event in events if event.type != "invoke" and event.process != NEMESIS]
    results = Results(
        made.valid,
        verdicts,
        {},
        (),
        f"splitbrain replay {folder}/repro.json",
        made.seconds,
        len(ends) / made.seconds,
        0.6,
    )
    (folder / "results.json").write_bytes(msgspec.json.encode(results))
    (folder / "repro.json").write_text(json.dumps({"seed": made.seed, "note": made.hostile}))
    (folder / "schedule.json").write_text(json.dumps({"seed": made.seed, "clients": []}))


def _member(
    folder: Path, made: SyntheticRun, name: str, place: int, writes: list[tuple[int, int, int, str]]
) -> None:
    home = folder / name
    (home / "data").mkdir(parents=True, exist_ok=True)
    log = [f"info {name} line {at} {made.hostile}" for at in range(120)]
    (home / "log").write_text("\n".join(log) + "\n")
    state = MemberState(
        name,
        41,
        1,
        0,
        3735928559,
        41,
        100 + place,
        100,
        2,
        57,
        57,
        "3.5.0",
        (Change(2, "put", "r1", "1"),),
    )
    (home / "state.json").write_bytes(msgspec.json.encode(state))
    if made.traced:
        _lines(home / "trace.jsonl", _trace(made, name, writes))


def _trace(
    made: SyntheticRun, name: str, writes: list[tuple[int, int, int, str]]
) -> list[TraceEvent]:
    """The trace of `name`, if the first member is the leader during the whole run."""
    leader, followers = made.members[0], made.members[1:]
    events: list[TraceEvent] = []
    for at, revision, request, node in writes:
        rng = Random(request)
        base = 5 * S + at

        def note(member: str, step: str, ms: float, rev: int = 0, peer: str = "") -> None:
            if member == name:
                ns = base + int(ms * MS)  # noqa: B023 (called at once)
                index = revision + 1  # noqa: B023
                events.append(TraceEvent(name, step, ns, request, 2, index, rev, peer))  # noqa: B023

        note(node, "client_request", 0)
        at_leader = 0.05
        if node != leader:
            note(node, "follower_forward", 0.06)
            at_leader = 0.3 + rng.random() * 0.3
        note(leader, "leader_receive", at_leader, peer=node)
        synced = at_leader + 0.4 + rng.random()
        note(leader, "replicate", at_leader + 0.1)
        note(leader, "leader_wal", synced)
        acks = [at_leader + 0.6 + rng.random() * 2 for _ in followers]
        for follower, ack in zip(followers, acks, strict=True):
            note(follower, "follower_wal", ack)
        quorum = max(synced, min(acks, default=synced)) + 0.2
        note(leader, "quorum_ack", quorum)
        note(leader, "leader_commit", quorum + 0.05)
        for member in made.members:
            known = quorum + (0.05 if member == leader else 0.4 + rng.random() * 0.3)
            if member != leader:
                note(member, "follower_commit", known)
            note(member, "apply_notify", known + 0.05)
            note(member, "apply_mvcc", known + 0.12, revision)
            note(member, "backend_flush", known + rng.random() * 90)
            if member == node:
                note(node, "respond", known + 0.2)
    return events
