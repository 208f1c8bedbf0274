"""Proposes smaller schedules that contain only what an anomaly probably needs.

A run of a large schedule is slow, so only few schedules can be tried. Therefore the functions use
what the failing run shows: the time and the operations of the anomaly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from splitbrain.harness.schedule.schedule import (
    Schedule,
    TimedOperation,
    with_changes,
    with_operations,
)
from splitbrain.harness.shrinking.failing_run import Failure
from splitbrain.harness.shrinking.reductions import TAIL_MS, ended_at
from splitbrain.histories.kv import Delete, Put, Range, Txn
from splitbrain.histories.service_operation import AnyRequest, changes_store

GuidedReduction = Callable[[Schedule, Failure], Iterator[Schedule]]


def ended_after_anomaly(schedule: Schedule, failure: Failure) -> Iterator[Schedule]:
    """Yield a copy of `schedule` whose load ends soon after the time of the anomaly."""
    if failure.at_ms is not None and failure.at_ms + TAIL_MS < schedule.time_limit_ms:
        yield ended_at(schedule, failure.at_ms + TAIL_MS)


def operations_of_anomaly(schedule: Schedule, failure: Failure) -> Iterator[Schedule]:
    """Yield copies of `schedule` with the operations of the anomaly and few others.

    The copies keep, in this order:

    - only the operations of the anomaly;
    - these operations, and all writes to their keys;
    - these operations, and all operations on their keys;
    - all operations of the clients of the anomaly's operations;
    - the operations of the anomaly, and all writes.
    """
    numbered = dict(enumerate(schedule.operations, start=1))
    shown = {number: one for number, one in numbered.items() if number in failure.operations}
    if not shown:
        return
    keys = frozenset().union(*(keys_of(one.operation.request) for one in shown.values()))
    clients = {one.client for one in shown.values()}

    def kept(condition: Callable[[TimedOperation], bool]) -> Schedule:
        return with_operations(schedule, {
            number: one for number, one in numbered.items() if number in shown or condition(one)
        })

    def on_keys(one: TimedOperation) -> bool:
        return bool(keys & keys_of(one.operation.request))

    def writes(one: TimedOperation) -> bool:
        return changes_store(one.operation.request)

    yield with_operations(schedule, shown)
    yield kept(lambda one: writes(one) and on_keys(one))
    yield kept(on_keys)
    yield kept(lambda one: one.client in clients)
    yield kept(writes)


def last_faults(schedule: Schedule, failure: Failure) -> Iterator[Schedule]:
    """Yield copies of `schedule` with only the last 1, 2, 4, 8, … faults before the anomaly."""
    if failure.at_ms is None:
        return
    begun = [one for one in schedule.faults if one.begin_ms <= failure.at_ms]
    count = 1
    while count < len(schedule.faults) and count <= len(begun):
        yield with_changes(schedule, faults=tuple(begun[-count:]))
        count *= 2


def keys_of(request: AnyRequest) -> frozenset[str]:
    """Return the keys that `request` reads, writes or compares.

    Of an interval of keys, only the first key is returned. The result is empty for requests that
    are not about keys.
    """
    match request:
        case Put() | Range() | Delete():
            return frozenset((request.key,))
        case Txn():
            parts = (*request.success, *request.failure)
            compared = (one.key for one in request.compare)
            return frozenset(compared).union(*(keys_of(one) for one in parts))
        case _:
            return frozenset()
