"""Each rule of `write_path`: a correct trace keeps it, and a corrupt trace violates it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.traces.write_path import check_write_path
from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.synthetic.generator import generate
from splitbrain.harness.synthetic.traces import traces_of
from splitbrain.histories.history import History
from splitbrain.histories.kv import Put, PutResult
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.trace import TraceEvent
from tests.unit.checkers.scripted_history import ScriptedHistory

NAMES = ("n1", "n2", "n3")
Trace = list[TraceEvent]


def three_writes() -> tuple[History, Trace]:
    """The trace of all members, by time, for three writes: one each at n2, n1 and n3."""
    script = ScriptedHistory()
    for number, node in enumerate(("n2", "n1", "n3")):
        script.did(Put("a", str(number)), PutResult(), 2 + number, node)
    history = script.history()
    traces = traces_of(history, NAMES)
    return history, sorted((e for t in traces.values() for e in t), key=lambda e: e.ns)


def judge(history: History, events: Trace) -> Verdict:
    traces: dict[str, Trace] = {name: [] for name in NAMES}
    for event in sorted(events, key=lambda e: e.ns):
        traces[event.member].append(event)
    return check_write_path(Evidence(history, traces=traces))


def kinds(verdict: Verdict) -> set[str]:
    assert (verdict.valid is False) == bool(verdict.anomalies)
    return {anomaly.kind for anomaly in verdict.anomalies}


def without(events: Trace, **fields: object) -> Trace:
    return [e for e in events if not all(getattr(e, k) == v for k, v in fields.items())]


def moved(events: Trace, by_ns: int, **fields: object) -> Trace:
    return [
        msgspec.structs.replace(e, ns=e.ns + by_ns)
        if all(getattr(e, k) == v for k, v in fields.items())
        else e
        for e in events
    ]


def changed(events: Trace, where: dict[str, object], **fields: object) -> Trace:
    return [
        msgspec.structs.replace(e, **fields)
        if all(getattr(e, k) == v for k, v in where.items())
        else e
        for e in events
    ]


def test_a_correct_trace_passes() -> None:
    history, events = three_writes()
    verdict = judge(history, events)
    assert verdict.valid is True, verdict
    assert verdict.counts["acknowledged writes"] == 3


CORRUPTIONS: list[tuple[str, Callable[[Trace], Trace]]] = [
    (
        "committed before a majority synced",
        lambda t: without(t, step="follower_wal", index=3),
    ),
    (
        "committed before a majority synced",
        lambda t: without(without(t, step="leader_wal", index=3), step="follower_wal", member="n2"),
    ),
    (
        "committed before a majority synced",
        lambda t: moved(t, 40, step="follower_wal", index=3),
    ),
    ("committed by a follower first", lambda t: without(t, step="leader_commit", index=3)),
    ("applied before committed", lambda t: without(t, step="follower_commit", member="n2")),
    ("applied before committed", lambda t: moved(t, -9, step="apply_mvcc", member="n1")),
    (
        "applied out of order",
        lambda t: [*t, TraceEvent("n2", "apply_mvcc", 9_000_000, 2, 2, 3, 3)],
    ),
    (
        "applied twice",
        lambda t: [
            *t,
            TraceEvent("n2", "start", 9_000_000, term=2, index=3),
            TraceEvent("n2", "follower_commit", 9_000_001, 2, 2, 3),
            TraceEvent("n2", "apply_mvcc", 9_000_002, 2, 2, 3, 3),
        ],
    ),
    (
        "one entry, two revisions",
        lambda t: changed(t, {"step": "apply_mvcc", "member": "n3", "index": 3}, revision=9),
    ),
    (
        "two entries applied at one index",
        lambda t: changed(t, {"step": "apply_mvcc", "member": "n3", "index": 3}, request=77),
    ),
    (
        "two entries committed at one index",
        lambda t: changed(t, {"step": "follower_commit", "member": "n3", "index": 3}, term=1),
    ),
    (
        "proposed twice",
        lambda t: [*t, TraceEvent("n1", "leader_wal", 9_000_000, 2, 2, 9)],
    ),
    ("answered before applied", lambda t: moved(t, -5, step="respond", member="n3")),
    ("answered before applied", lambda t: without(t, step="apply_mvcc", member="n2", index=2)),
    ("incomplete chain", lambda t: without(t, step="respond", member="n3")),
    ("incomplete chain", lambda t: without(t, step="client_request", member="n3")),
    (
        "incomplete chain",
        lambda t: changed(t, {"step": "respond", "member": "n3"}, revision=8),
    ),
]


@pytest.mark.parametrize(("kind", "corrupt"), CORRUPTIONS)
def test_a_corrupt_trace_is_found(kind: str, corrupt: Callable[[Trace], Trace]) -> None:
    history, events = three_writes()
    assert kind in kinds(judge(history, corrupt(events)))


def test_a_leader_need_not_have_synced_if_a_majority_has() -> None:
    history, events = three_writes()
    assert judge(history, without(events, step="leader_wal")).valid is True


def test_a_slow_follower_need_not_have_synced() -> None:
    history, events = three_writes()
    # In one member's trace the order of lines stays: it syncs, then commits and applies.
    late = [
        msgspec.structs.replace(e, ns=e.ns + 500) if e.member == "n3" and e.index == 3 else e
        for e in events
    ]
    assert judge(history, late).valid is True


def test_replay_after_a_restart_applies_above_the_backend_only() -> None:
    history, events = three_writes()
    replayed = [
        TraceEvent("n2", "start", 9_000_000, term=2, index=2),
        TraceEvent("n2", "follower_commit", 9_000_001, 2, 2, 3),
        TraceEvent("n2", "follower_commit", 9_000_002, 3, 2, 4),
        TraceEvent("n2", "apply_mvcc", 9_000_003, 2, 2, 3, 3),
        TraceEvent("n2", "apply_mvcc", 9_000_004, 3, 2, 4, 4),
    ]
    assert judge(history, events + replayed).valid is True


def test_a_snapshot_skips_indexes() -> None:
    history, events = three_writes()
    jumped = [
        e for e in events
        if not (e.member == "n3" and e.index == 2 and e.step in ("follower_wal", "apply_mvcc"))
    ]
    assert judge(history, jumped).valid is True


def test_an_overwritten_entry_does_not_count_towards_a_majority() -> None:
    # n2 and n3 lose an entry of term 2 to one of term 3; n1, deposed, may not count them.
    lead = TraceEvent("n1", "lead", 1, term=2)
    start = [TraceEvent(name, "start", 0) for name in NAMES]
    first = [TraceEvent(name, "follower_wal", 2, 1, 2, 5) for name in ("n2", "n3")]
    other = [TraceEvent(name, "follower_wal", 3, 9, 3, 5) for name in ("n2", "n3")]
    commit = TraceEvent("n1", "leader_commit", 4, 1, 2, 5)
    script = History.of(())
    assert judge(script, [*start, lead, *first, commit]).valid is True
    assert kinds(judge(script, [*start, lead, *first, *other, commit])) == {
        "committed before a majority synced"
    }


def test_an_entry_that_a_killed_member_synced_without_a_trace_is_accepted() -> None:
    start = [TraceEvent(name, "start", 0) for name in NAMES]
    events = [
        *start,
        TraceEvent("n1", "lead", 1, term=2),
        TraceEvent("n1", "replicate", 2, 1, 2, 5, peer="n2"),
        TraceEvent("n1", "leader_wal", 3, 1, 2, 5),
        # n2 writes the entry, is killed before its line, starts again and acknowledges.
        TraceEvent("n2", "start", 50, term=2),
        TraceEvent("n1", "leader_commit", 60, 1, 2, 5),
    ]
    assert judge(History.of(()), events).valid is True
    # An entry made after the restart has no such excuse.
    late = [
        TraceEvent("n1", "leader_wal", 70, 2, 2, 6),
        TraceEvent("n1", "leader_commit", 80, 2, 2, 6),
    ]
    assert kinds(judge(History.of(()), events + late)) == {"committed before a majority synced"}


def test_a_new_leader_may_commit_entries_that_it_recovered() -> None:
    start = [TraceEvent(name, "start", 0) for name in NAMES]
    events = [
        *start,
        TraceEvent("n2", "follower_wal", 3, 1, 2, 5),
        # n1 led term 2 and was killed before it could trace its own sync.
        TraceEvent("n1", "start", 50, term=2),
        TraceEvent("n1", "lead", 60, term=3),
        TraceEvent("n1", "leader_wal", 61, 0, 3, 6),
        TraceEvent("n2", "follower_wal", 62, 0, 3, 6),
        TraceEvent("n1", "leader_commit", 63, 1, 2, 5),
        TraceEvent("n1", "leader_commit", 64, 0, 3, 6),
    ]
    assert judge(History.of(()), events).valid is True


def test_a_leader_that_steps_down_may_mark_what_it_had_committed() -> None:
    history, events = three_writes()
    stepped_down = [
        msgspec.structs.replace(e, step="follower_commit")
        if e.step == "leader_commit" and e.index == 4
        else e
        for e in events
    ]
    assert judge(history, stepped_down).valid is True


def test_a_system_without_traces_has_nothing_to_judge() -> None:
    verdict = check_write_path(Evidence(History.of(()), system="etcd"))
    assert verdict.valid is True
    assert "not applicable" in verdict.why
    assert check_write_path(Evidence(History.of(()), system="python_node")).valid is None


def test_a_member_without_a_trace_leaves_it_undecided() -> None:
    history, events = three_writes()
    traces = {"n1": [e for e in events if e.member == "n1"]}
    members = tuple(MemberState(name) for name in NAMES)
    verdict = check_write_path(Evidence(history, members, traces))
    assert verdict.valid is None
    assert "the traces of n2, n3 are missing or empty" in verdict.why


def test_generated_traces_pass() -> None:
    history = History.of(generate("kv", 3000, seed=5).events)
    verdict = check_write_path(Evidence(history, traces=traces_of(history, NAMES)))
    assert verdict.valid is True, verdict
