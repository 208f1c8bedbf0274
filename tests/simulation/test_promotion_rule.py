"""A learner that is promoted must have nine tenths of the leader's entries."""

from __future__ import annotations

import pytest

from splitbrain.harness.simulation.raft_invariants.configurations import too_short


@pytest.mark.parametrize(
    ("learner", "leader", "found"),
    [
        (0, 57, True),
        (17, 17, False),
        # The leader appended two entries after it had compared the logs.
        (15, 17, False),
        (800, 1000, True),
        (900, 1000, False),
    ],
)
def test_a_promotion_is_wrong_if_the_log_of_the_learner_is_too_short(
    learner: int, leader: int, found: bool
) -> None:
    assert too_short(learner, leader) is found
