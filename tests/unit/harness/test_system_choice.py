"""Which system a run tests, and what stands between its members."""

from __future__ import annotations

import pytest

from splitbrain.harness.schedule.plan import ClientPlan, Plan
from splitbrain.harness.systems.factory import needs_proxies
from splitbrain.nemesis.fault import Fault, Kill, Latency, Partition, Pause, PlannedFault


def plan_with(*faults: Fault) -> Plan:
    planned = tuple(PlannedFault(0, 10, fault, seed=1) for fault in faults)
    return Plan(1, ("n1", "n2", "n3"), (1, 2, 3), (ClientPlan(()),), planned, 10)


@pytest.mark.parametrize("fault", [Partition(), Latency()])
def test_a_plan_with_a_fault_of_links_needs_proxies(fault: Fault) -> None:
    assert needs_proxies(plan_with(Kill(), fault))


def test_a_plan_without_faults_of_links_needs_none() -> None:
    assert not needs_proxies(plan_with())
    assert not needs_proxies(plan_with(Kill(), Pause()))
