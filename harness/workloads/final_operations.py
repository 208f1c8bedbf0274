"""The operations at the end of a run: a write through each member, and the workload's reads.

Both are sent after all faults are healed. They show that each member serves again, and the reads
show what the run has left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from splitbrain.checkers.model.requests import must_be_recent
from splitbrain.harness.workloads.workload import FINAL_READ, Draft, Workload
from splitbrain.histories.kv import Put, Range

FINAL_WRITE = "final_write"
"""The `f` of the final writes."""
FINAL_FUNCTIONS = (FINAL_READ, FINAL_WRITE)
FINAL_KEY = "splitbrain-final"
"""The key of the final writes. It is outside the ranges of the built-in workloads."""


def final_write(workload: Workload, value: str) -> Draft | None:
    """The write of the unique `value` to one member; None if the workload sends no such write.

    A workload whose store does not serve a put of any key defines its own `final_write(value)`.
    """
    own: Callable[[str], Draft | None] | None = getattr(workload, "final_write", None)
    return Draft(FINAL_WRITE, Put(FINAL_KEY, value)) if own is None else own(value)


def final_reads(workload: Workload, clients: int) -> Sequence[Draft]:
    """The final reads of `workload`, and a read of `FINAL_KEY` if none of them is linearizable."""
    drafts = tuple(workload.final_operations(clients))
    if any(isinstance(one.request, Range) and must_be_recent(one.request) for one in drafts):
        return drafts
    return (*drafts, Draft(FINAL_READ, Range(FINAL_KEY)))
