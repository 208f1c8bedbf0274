"""The verdict of the checker `mvcc` equals that of a search through all orders."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.mvcc.checker import check_mvcc
from splitbrain.histories.history import Operation
from splitbrain.histories.member_state import Change
from tests.unit.checkers.exhaustive import some_order_explains
from tests.unit.checkers.small_histories import (
    history_of,
    maybe_corrupted,
    members_of,
    plain_log,
    recorded,
)

EXAMPLES = int(os.environ.get("SPLITBRAIN_EXAMPLES", "400"))
"""For a long hunt, set SPLITBRAIN_EXAMPLES=1000000."""

thorough = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck)
)


@thorough
@given(recorded())
def test_a_valid_history_passes(drawn: tuple[list[Operation], list[Change]]) -> None:
    ops, changes = drawn
    verdict = check_mvcc(Evidence(history_of(ops), members_of(changes)))
    assert verdict.valid is True, verdict


@thorough
@given(maybe_corrupted())
def test_with_a_change_log_the_verdict_is_that_of_all_orders(
    drawn: tuple[list[Operation], list[Change]],
) -> None:
    ops, changes = drawn
    verdict = check_mvcc(Evidence(history_of(ops), members_of(changes)))
    assert verdict.valid is some_order_explains(ops, plain_log(changes)), verdict


@thorough
@given(maybe_corrupted())
def test_without_a_change_log_the_verdict_is_that_of_all_orders(
    drawn: tuple[list[Operation], list[Change]],
) -> None:
    ops, _ = drawn
    verdict = check_mvcc(Evidence(history_of(ops)))
    explained = some_order_explains(ops, None)
    if any(op.outcome == "ok" for op in ops):
        assert verdict.valid is explained, verdict
    else:  # only refusals show what the store did: they can be wrong, but prove nothing right
        assert verdict.valid is (None if explained else False), verdict


@thorough
@given(maybe_corrupted(), st.integers(0, 3))
def test_with_the_end_of_a_change_log_the_verdict_is_that_of_all_orders(
    drawn: tuple[list[Operation], list[Change]], kept: int,
) -> None:
    ops, changes = drawn
    last = max((change.revision for change in changes), default=1)
    first = max(1, last + 1 - kept)
    verdict = check_mvcc(Evidence(history_of(ops), members_of(changes, first, last)))
    log = plain_log([change for change in changes if change.revision >= first])
    assert verdict.valid is some_order_explains(ops, log, first, last), verdict
