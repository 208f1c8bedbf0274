"""Checks that a system serves the services of a workload, such as leases and locks."""

from __future__ import annotations

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.systems.catalogue import PYTHON_NODE, SIMULATED
from splitbrain.harness.workloads.workload import Workload

NOT_SERVED = {PYTHON_NODE: ("lock", "election"), SIMULATED: ("lock", "election")}
"""System → the services that its members do not serve."""


def check_services(system: str, workload: Workload) -> None:
    """Raise BadArguments if `workload` needs a service that `system` does not serve."""
    missing = NOT_SERVED.get(system, ())
    needs = [service for service in getattr(workload, "needs", ()) if service in missing]
    if needs:
        raise BadArguments(
            f"the workload {workload.name} needs the service{'s' * (len(needs) > 1)} "
            f"{', '.join(needs)}, which the system {system} does not serve; expected a system "
            "that does, such as --system etcd"
        )
