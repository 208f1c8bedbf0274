"""A run does not draw what would trigger a known bug of the tested version."""

from __future__ import annotations

from typing import Any

import pytest

from splitbrain.harness.drawing import schedule_drawing
from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.histories.kv import Compact, Txn, writes


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Draws a schedule for an etcd of the given version."""

    def schedule(version: str, **options: Any) -> Schedule:
        monkeypatch.setattr(schedule_drawing, "tested_version", lambda _: {"etcd": version})
        given = {"system": "etcd", "workload": "kv", "nodes": [3], "seed": 1, "rate": 300.0}
        return draw_schedule(read_options({**given, **options}))

    return schedule


def kinds(schedule: Schedule) -> set[str]:
    return {str(one.fault.__struct_config__.tag) for one in schedule.faults}


def triggers_18667(schedule: Schedule) -> bool:
    return any(
        one.ranges_back and isinstance(one.request, Txn) and writes(one.request)
        for client in schedule.clients for one in client.operations
    )


def test_the_trigger_of_a_named_bug_is_not_drawn(drawn: Any) -> None:
    assert triggers_18667(drawn("3.5.30"))
    assert not triggers_18667(drawn("3.5.30", known=["etcd-18667"]))
    assert not triggers_18667(drawn("3.5.30", known=["all"]))
    assert triggers_18667(drawn("3.5.30", known=["etcd-20418"]))
    assert triggers_18667(drawn("3.7.0", known=["all"]))


def test_faults_that_trigger_a_bug_of_the_version_are_not_drawn(drawn: Any) -> None:
    assert kinds(drawn("3.5.1")) == {"kill", "pause", "partition"}
    assert kinds(drawn("3.5.1", known=["all"])) == {"kill", "partition"}
    assert kinds(drawn("3.5.30", known=["all"])) == {"kill", "pause", "partition"}
    assert kinds(drawn("3.5.30", workload="lease", known=["all"])) == {"kill", "partition"}
    assert kinds(drawn("3.5.1", nodes=[1])) == {"kill", "pause"}
    assert kinds(drawn("3.5.1", nodes=[1], known=["etcd-14370"])) == {"pause"}
    assert kinds(drawn("3.5.1", nodes=[3], known=["etcd-14370"])) == {"kill", "pause", "partition"}


def test_compactions_are_left_out_only_with_the_faults_that_make_them_harmful(drawn: Any) -> None:
    def compacts(schedule: Schedule) -> bool:
        return any(
            isinstance(one.request, Compact)
            for client in schedule.clients for one in client.operations
        )

    assert not compacts(drawn("3.5.1", known=["etcd-17780"]))
    assert compacts(drawn("3.5.1", known=["etcd-17780"], nemesis=["pause"]))
    assert compacts(drawn("3.5.14", known=["etcd-17780"]))


def test_the_schedule_keeps_the_options_that_were_given(drawn: Any) -> None:
    schedule = drawn("3.5.1", known=["all"])
    assert schedule.options.known == ("all",)
    assert schedule.options.nemesis == ("kill", "pause", "partition")
    assert schedule.options.workload_options == {}
    assert schedule_drawing.is_drawn(schedule)


def test_an_option_that_asks_for_the_trigger_is_refused(drawn: Any) -> None:
    with pytest.raises(BadArguments, match=r"txn_revisions=1 draws the trigger of etcd-18667"):
        drawn("3.5.1", known=["all"], workload_options={"txn_revisions": 1})
    assert drawn("3.5.1", known=["all"], workload_options={"txn_revisions": 0})
