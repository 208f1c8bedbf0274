"""The workload of a run, from its options."""

from __future__ import annotations

from splitbrain.harness.schedule.options import Options
from splitbrain.harness.workloads.any_store.catalogue import make_store_workload
from splitbrain.harness.workloads.any_store.store_workload import StoreWorkload
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.harness.workloads.workload import Workload


def workload_of(options: Options) -> Workload | StoreWorkload:
    """The workload that `options` name. It is a `StoreWorkload` if they also name a client.

    Raises BadArguments.
    """
    make = make_store_workload if options.client else make_workload
    return make(options.workload, options.workload_options)
