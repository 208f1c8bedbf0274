"""Checks that a system serves the services of a workload, such as leases and locks."""

from __future__ import annotations

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.systems.catalogue import PYTHON_NODE, SIMULATED
from splitbrain.harness.workloads.workload import Workload

WITHOUT_LEASES = (PYTHON_NODE, SIMULATED)
"""Systems whose members serve only keys and watches."""


def check_services(system: str, workload: Workload) -> None:
    """Raise BadArguments if `workload` needs a service that `system` does not serve."""
    needs = tuple(getattr(workload, "needs", ()))
    if needs and system in WITHOUT_LEASES:
        raise BadArguments(
            f"the workload {workload.name} needs the service{'s' * (len(needs) > 1)} "
            f"{', '.join(needs)}, which the system {system} does not serve; expected a system "
            "that does, such as --system etcd"
        )
