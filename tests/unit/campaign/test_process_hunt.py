"""A hunt on processes draws at most one avoidable trigger, and names what it finds."""

from __future__ import annotations

import pytest

from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.drawing.etcd_hunt_options import draw_process_options
from splitbrain.harness.drawing.schedule_drawing import without_triggers
from splitbrain.harness.failures.causes import causes_of
from splitbrain.harness.known_bugs.catalogue import excused_bugs, known_bugs
from splitbrain.harness.known_bugs.known_bug import parse_version
from splitbrain.harness.schedule.options import read_options
from splitbrain.nemesis.fault_kinds import KINDS


@pytest.mark.parametrize("version", ["3.4.23", "3.5.1", "3.5.30"])
def test_every_avoidable_trigger_is_drawn_by_some_seed_and_never_two_in_one_run(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "splitbrain.harness.drawing.schedule_drawing.tested_version", lambda _: {"etcd": version}
    )
    parsed = parse_version(version)
    assert parsed is not None
    bugs = excused_bugs(["all"], {"etcd": version})
    triggers: set[str] = set()
    for seed in range(400):
        drawn, trigger = draw_process_options(seed, {}, bugs, parsed, tuple(KINDS))
        options = read_options({**drawn, "system": "etcd"})
        without_triggers(options)  # raises if an option contradicts a bug that is avoided
        assert set(options.known) == {bug.id for bug in bugs} - {trigger}
        triggers.add(trigger)
    assert triggers == {"", *(bug.id for bug in bugs if bug.avoid)}


def test_given_options_are_not_drawn() -> None:
    given = {"workload": "lease", "nodes": [3], "workload_options": {"ttl": 9}}
    bugs = tuple(known_bugs().values())
    for seed in range(50):
        drawn, trigger = draw_process_options(seed, given, bugs, (3, 5, 1), tuple(KINDS))
        assert {name: drawn[name] for name in given} == given
        assert trigger in {
            "", *(
                bug.id for bug in bugs
                for one in bug.avoid if not one.workloads or "lease" in one.workloads
            ),
        }


def test_a_cause_is_a_known_bug_the_drawn_trigger_or_a_kind_of_anomaly() -> None:
    excused = Anomaly("false progress", "seen", known="etcd-15220")
    diverged = Anomaly("diverged", "the logs differ\nand more")
    verdicts = [
        Verdict("watch", True, known=(excused, excused)),
        Verdict("mvcc", False, (diverged, Anomaly("lost write", "too"))),
        Verdict("statistics", True),
    ]
    assert [(one.name, one.named) for one in causes_of(verdicts)] == [
        ("etcd-15220", True), ("mvcc: diverged", False),
    ]
    assert causes_of(verdicts, "etcd-18667")[1].name == "etcd-18667"
    assert causes_of(verdicts)[1].because == "diverged: the logs differ"
    assert causes_of([Verdict("mvcc", True)]) == ()


def test_anomalies_that_follow_from_wrong_data_belong_to_its_cause() -> None:
    stale, lost = Anomaly("stale read", "old"), Anomaly("lost write", "gone")
    watch = Verdict("watch", False, (Anomaly("phantom event", "not in the log"),))
    crashed = Verdict("crashed", False, (Anomaly("crashed", "n1 ended by itself"),))
    verdicts = [Verdict("mvcc", False, (stale, stale, lost)), watch, crashed]
    assert [one.name for one in causes_of(verdicts)] == ["mvcc: lost write", "crashed: crashed"]
    assert causes_of(verdicts)[0].because == "lost write: gone"
    assert [one.name for one in causes_of(verdicts[1:])] == [
        "watch: phantom event", "crashed: crashed",
    ]
