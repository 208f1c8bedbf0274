"""The workload of a run, from its options."""

from __future__ import annotations

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.workloads.any_store.catalogue import make_store_workload, store_workloads
from splitbrain.harness.workloads.any_store.store_workload import StoreWorkload
from splitbrain.harness.workloads.catalogue import make_workload, workloads
from splitbrain.harness.workloads.workload import Workload


def workload_of(options: Options) -> Workload | StoreWorkload:
    """Return the workload that `options` name.

    If the options also name a client, the result is a `StoreWorkload`. Raises BadArguments.
    """
    name, of_client, of_api = options.workload, store_workloads(), workloads()
    if options.client:
        if name in of_api and name not in of_client:
            raise BadArguments(
                f"the workload {name} with the client {options.client}: the workload sends "
                "requests of etcd's API; with a client of your own, expected one of "
                f"{', '.join(of_client)}"
            )
        return make_store_workload(name, options.workload_options)
    if name in of_client and name not in of_api:
        raise BadArguments(
            f"the workload {name} without a client: it calls a client of your own; expected "
            f"--client package.module:Class, or one of the workloads {', '.join(of_api)}"
        )
    return make_workload(name, options.workload_options)
