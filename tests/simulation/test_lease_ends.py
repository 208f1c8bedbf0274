"""Tests of `splitbrain.harness.simulation.raft_invariants.lease_ends`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.raft_invariants.lease_ends import LeaseEndMonitor

TICK_S = 0.02
PER_INTERVAL = 4
INTERVAL_TICKS = 25


class _Leader:
    """A member whose lessor proposes the ends of `at_once` leases in each interval of 0.5 s."""

    def __init__(self, leases: int, at_once: int) -> None:
        self.violations: list[str] = []
        self._at_once = at_once
        self._times = {
            lease: SimpleNamespace(expires_ns=0, end_ns=0) for lease in range(1, leases + 1)
        }
        lessor = SimpleNamespace(
            primary_term=1, _times=self._times, _clock=SimpleNamespace(monotonic_ns=lambda: 1)
        )
        self.raft = SimpleNamespace(tick=lambda: None)
        server = SimpleNamespace(parts=SimpleNamespace(lessor=lessor), raft=self.raft)
        monitor = LeaseEndMonitor(tick_s=TICK_S, violated=self.violations.append)
        monitor.began(cast("Member", cast("Any", SimpleNamespace(name="n1", server=server))))

    def run(self, intervals: int) -> list[str]:
        for _ in range(intervals):
            for _ in range(INTERVAL_TICKS):
                self.raft.tick()
            for lease in list(self._times)[:self._at_once]:
                del self._times[lease]
        return self.violations


@pytest.mark.parametrize("leases", [1, 4, 5, 13, 40])
def test_many_ends_at_the_same_time_may_take_several_intervals(leases: int) -> None:
    assert _Leader(leases, PER_INTERVAL).run(20) == []


def test_an_end_that_is_never_proposed_is_reported_once() -> None:
    (violation,) = _Leader(1, 0).run(20)
    assert "n1 leads, and has not proposed the end of lease 1 for 1.520 s" in violation


def test_fewer_ends_in_an_interval_than_a_lessor_proposes_are_reported() -> None:
    assert _Leader(13, 1).run(20)
