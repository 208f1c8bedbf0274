"""A run has proxies between its members only if its faults need them."""

from __future__ import annotations

import pytest

from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.factory import needs_proxies
from splitbrain.nemesis.fault import Fault, Kill, Latency, Partition, Pause, ScheduledFault


def schedule_with(*faults: Fault) -> Schedule:
    scheduled = tuple(ScheduledFault(0, 10, fault, seed=1) for fault in faults)
    return Schedule(
        options=Options(), seed=1, members=("n1", "n2", "n3"), member_seeds=(1, 2, 3),
        clients=(), faults=scheduled, time_limit_ms=10,
    )


@pytest.mark.parametrize("fault", [Partition(), Latency()])
def test_a_schedule_with_a_fault_of_links_needs_proxies(fault: Fault) -> None:
    assert needs_proxies(schedule_with(Kill(), fault))


def test_a_schedule_without_faults_of_links_needs_none() -> None:
    assert not needs_proxies(schedule_with())
    assert not needs_proxies(schedule_with(Kill(), Pause()))
