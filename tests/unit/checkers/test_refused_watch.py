"""A member may refuse a watch without permission; any other answer before its creation is wrong."""

from __future__ import annotations

import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.watch.checker import check_watch
from splitbrain.histories.history import History
from splitbrain.histories.member_state import Change
from splitbrain.histories.watch import (
    Cancelled,
    Closed,
    Events,
    Line,
    Opened,
    Progress,
    WatchRequest,
    collect,
)
from tests.unit.checkers.scripted_history import members

A2 = Change(2, "put", "a", "1", 2, 1)
DENIED = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((Cancelled(2, 0, reason=DENIED),), []),
        ((Cancelled(2, 0, reason=DENIED), Progress(3, 0, 2, whole=True)), []),
        ((Cancelled(2, 0, reason=DENIED), Progress(3, 0, 2)), ["answer before creation"]),
        ((Cancelled(2, 0, reason="a duplicate id"),), ["answer before creation"]),
        ((Events(2, 0, 2, (A2,)), Cancelled(6, 0, reason=DENIED)), ["answer before creation"]),
    ],
)
def test_only_a_refusal_may_come_before_the_creation(
    answers: tuple[Line, ...], expected: list[str]
) -> None:
    opened = Opened(0, 0, 0, "n2", WatchRequest("a", "c", start_revision=1))
    lines: list[Line] = [opened, *answers, Closed(9, 0, "cancelled")]
    verdict = check_watch(Evidence(History.of(()), members([A2]), watches=collect(lines)))
    assert [one.kind for one in verdict.anomalies] == expected
