"""The operations of a run before its load, and those at its end.

At the end, after all faults are healed, a write through each member and the workload's reads are
sent. They show that each member serves again. The reads also show which data the run has left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.harness.workloads.workload import FINAL_READ, Draft, Workload
from splitbrain.histories.kv import Put, Range

FINAL_WRITE = "final_write"
"""The `f` of the final writes."""
SET_UP = "set_up"
"""The `f` of the operations that are sent before the load."""
QUIET = "quiet"
"""The `f` of the operations that are sent before the final writes."""
FINAL_LOG_IN = "final_log_in"
"""The `f` of the logins that these operations need."""
FINAL_FUNCTIONS = (SET_UP, FINAL_READ, FINAL_WRITE, QUIET, FINAL_LOG_IN)
FINAL_KEY = "splitbrain-final"
"""The key of the final writes. It is outside the ranges of the built-in workloads."""


def final_write(workload: Workload, value: str) -> Draft | None:
    """Return the write of the unique `value` that is sent through one member at the end.

    Returns None if the workload sends no such write. If the store does not accept puts of every
    key, the workload defines a method `final_write(value)`.
    """
    own: Callable[[str], Draft | None] | None = getattr(workload, "final_write", None)
    return Draft(FINAL_WRITE, Put(FINAL_KEY, value)) if own is None else own(value)


def set_up_operations(workload: Workload, random: Random) -> Sequence[Draft]:
    """Return the operations of `workload` that are sent before the load, each until it succeeds."""
    own: Callable[[Random], Sequence[Draft]] | None = getattr(workload, "set_up_operations", None)
    return () if own is None else own(random)


def quiet_operations(workload: Workload) -> Sequence[Draft]:
    """Return the operations of `workload` that are sent before the final writes.

    Each of them is sent until it succeeds.
    """
    own: Callable[[], Sequence[Draft]] | None = getattr(workload, "quiet_operations", None)
    return () if own is None else own()


def settle_s(workload: Workload) -> float:
    """Return the time in s between the final writes and the final reads of `workload`."""
    own: Callable[[], float] | None = getattr(workload, "settle_s", None)
    return 0.0 if own is None else own()


def administrator(workload: Workload) -> tuple[str, str]:
    """Return the name and the password of the workload's administrator; ("", "") if it has none."""
    own: Callable[[], tuple[str, str]] | None = getattr(workload, "administrator", None)
    return ("", "") if own is None else own()


def final_reads(workload: Workload, clients: int) -> Sequence[Draft]:
    """Return the final reads of `workload`.

    If none of them is linearizable, a linearizable read of `FINAL_KEY` is added.
    """
    drafts = tuple(workload.final_operations(clients))
    if any(isinstance(one.request, Range) and must_be_recent(one.request) for one in drafts):
        return drafts
    return (*drafts, Draft(FINAL_READ, Range(FINAL_KEY)))
