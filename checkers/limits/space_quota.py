"""Judges the space quota and its alarm, for the checker `limits`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.limits.request_sizes import content_bytes, puts
from splitbrain.checkers.limits.settings import Limits
from splitbrain.histories.fault_window import disturbed
from splitbrain.histories.history import History
from splitbrain.histories.kv import Compact, Delete, Put
from splitbrain.histories.maintenance import (
    AlarmDisarm,
    AlarmListResult,
    Defragment,
    MemberSizeResult,
)
from splitbrain.histories.operation import Operation
from splitbrain.histories.service_operation import ServiceOperation

NO_SPACE = "database space exceeded"
NOSPACE = "NOSPACE"
S = 1_000_000_000
ENFORCED_NS = 5 * S
"""The time within which a store must notice that its backend is full. The store acknowledges
changes before it writes them to the backend in batches."""
BASE_BYTES = 64 * 1024
"""The maximal size of an empty backend."""
DEFRAGMENTED_BYTES = 96 * 1024
"""The maximal size of an empty backend after a defragmentation and the commits that follow it. A
commit copies the pages that it changes, so a backend without keys needs free pages, too."""
GROWTH = 3
"""A backend is at most this many times as large as the changes in it."""
KEY_BYTES = 256
"""The maximal overhead of a change in the backend: its bytes without the key and the value."""
NEVER = 1 << 62


class ListedAlarms(NamedTuple):
    """An answer that lists alarms NOSPACE, and the members whose alarms no operation has cleared.

    `members` contains the ids of these members.
    """

    answer: ServiceOperation
    members: frozenset[int]


@dataclass(slots=True)
class Space:
    """The operations of a history that concern the space quota and its alarm."""

    history: History
    lists: list[ServiceOperation] = field(default_factory=list)
    """The lists of alarms that contain NOSPACE, in the order of their returns."""
    disarms: list[ServiceOperation] = field(default_factory=list)
    writers: list[Operation] = field(default_factory=list)
    """The operations that contain a put, in the order of their invocations."""

    @classmethod
    def of(cls, history: History) -> Space:
        """Collect the operations of `history` that concern the space quota."""
        lists = [
            op for op in history.services
            if isinstance(op.result, AlarmListResult) and _full_members(op)
        ]
        return cls(
            history=history,
            lists=sorted(lists, key=lambda op: op.ret or 0),
            disarms=[
                op for op in history.services
                if isinstance(op.request, AlarmDisarm) and op.request.member
                and op.outcome != "fail"
            ],
            writers=[op for op in history.operations if any(True for _ in puts(op.request))],
        )

    def alarm_during(self, call: int, ret: int) -> ListedAlarms | None:
        """Return an answer that proves that an alarm was raised from `call` to `ret`, or None.

        The answer lists the alarm, and no operation can have cleared the alarm since. Each member
        has its own alarm, which is cleared separately.
        """
        place = bisect_right(self.lists, call, key=lambda op: op.ret or 0)
        for one in reversed(self.lists[:place]):
            cleared = {
                disarm.request.member for disarm in self.disarms
                if isinstance(disarm.request, AlarmDisarm)
                and _latest(disarm) >= one.call and disarm.call <= ret
            }
            if members := _full_members(one) - cleared:
                return ListedAlarms(one, members)
        return None


def _full_members(op: ServiceOperation) -> frozenset[int]:
    assert isinstance(op.result, AlarmListResult)
    return frozenset(one.member for one in op.result.alarms if one.kind == NOSPACE)


def _latest(op: ServiceOperation) -> int:
    return NEVER if op.ret is None else op.ret


def check_alarm(space: Space, op: Operation, found: Findings) -> None:
    """Check that no put is acknowledged while the alarm NOSPACE is raised.

    Also reports a request that was refused for lack of space although it puts nothing.
    """
    needs_space = any(True for _ in puts(op.request))
    if op.outcome == "ok" and needs_space and op.ret is not None:
        alarms = space.alarm_during(op.call, op.ret)
        if alarms is not None:
            shown = alarms.answer
            found.add(
                "written despite the alarm",
                f"{wording.operation(op)} was acknowledged at {wording.seconds(op.ret)}, although "
                f"{shown.node} had listed the alarm NOSPACE of the member "
                f"{min(alarms.members):x} by {wording.seconds(shown.ret or 0)} and no operation "
                "cleared it",
                op, shown,
            )
    if NO_SPACE in (op.error or "") and not needs_space:
        found.add(
            "refused without need",
            f"{wording.operation(op)} was refused for lack of space, but it needs none", op,
        )


def check_lists(space: Space, found: Findings) -> None:
    """Check that an alarm, once listed, is in every later list until it is cleared."""
    for op in space.history.services:
        if not isinstance(op.result, AlarmListResult) or op.ret is None:
            continue
        earlier = space.alarm_during(op.call, op.ret)
        lost = frozenset() if earlier is None else earlier.members - _full_members(op)
        if earlier is not None and lost:
            shown = earlier.answer
            found.add(
                "alarm lost",
                f"{op.node} did not list the alarm NOSPACE of the member {min(lost):x} at "
                f"{wording.seconds(op.ret)}, although {shown.node} had listed it by "
                f"{wording.seconds(shown.ret or 0)} and no operation cleared it",
                op, shown,
            )


def check_room(limits: Limits, space: Space, found: Findings) -> None:
    """Check that no request is refused for lack of space before the quota can be full."""
    if not limits.quota_bytes:
        return
    calls = [op.call for op in space.writers]
    sums = list(accumulate(map(_most_bytes, space.writers)))
    for op in space.writers:
        if NO_SPACE not in (op.error or ""):
            continue
        place = bisect_right(calls, op.ended or op.call)
        size = BASE_BYTES + GROWTH * (sums[place - 1] if place else 0)
        if size < limits.quota_bytes:
            found.add(
                "refused with room",
                f"{wording.operation(op)} was refused for lack of space, but all changes until "
                f"then fit into {size:,} bytes; the quota is {limits.quota_bytes:,}", op,
            )


def _most_bytes(op: Operation) -> int:
    return content_bytes(op.request) + KEY_BYTES * sum(1 for _ in puts(op.request))


def check_quota(limits: Limits, space: Space, found: Findings) -> None:
    """Check that no put is acknowledged long after the backend has exceeded the quota.

    The checker counts only changes that are certainly in the backend. With automatic compaction
    these changes are unknown, so nothing is judged.
    """
    if not limits.quota_bytes or limits.keep_revisions or limits.keep_ns:
        return
    done = sorted((op for op in space.writers if _is_put(op)), key=lambda op: op.ret or 0)
    for op in done:
        begin = op.call - ENFORCED_NS
        if disturbed(space.history.faults, begin, op.call):
            continue
        compacted = max(
            (one.request.revision for one in space.history.operations
             if isinstance(one.request, Compact) and one.outcome != "fail"
             and one.call <= (op.ret or 0)), default=0,
        )  # fmt: skip
        stored = [
            one for one in done[: bisect_right(done, begin, key=lambda one: one.ret or 0)]
            if one.result is not None and one.result.header.revision > compacted
        ]
        size = sum(content_bytes(one.request) for one in stored)
        if size > limits.quota_bytes:
            found.add(
                "written over the quota",
                f"{wording.operation(op)} was acknowledged, although the changes that were "
                f"acknowledged {ENFORCED_NS // S} s before have {size:,} bytes; the quota is "
                f"{limits.quota_bytes:,}", op, stored[-1],
            )
            return


def check_full_members(limits: Limits, space: Space, found: Findings) -> None:
    """Check that a member whose backend has reached the quota acknowledges no put.

    The backend becomes smaller only by a defragmentation, or by a fault.
    """
    if not limits.quota_bytes:
        return
    full = sorted(
        (
            op for op in space.history.services
            if isinstance(op.result, MemberSizeResult)
            and op.result.size_bytes >= limits.quota_bytes
        ),
        key=lambda op: op.ret or 0,
    )
    defragmented = [
        op for op in space.history.services
        if isinstance(op.request, Defragment) and op.outcome != "fail"
    ]
    for op in space.writers:
        if op.outcome != "ok" or op.ret is None:
            continue
        shown = next((
            one for one in reversed(full) if one.node == op.node and (one.ret or 0) <= op.call
        ), None)
        if shown is None or disturbed(space.history.faults, shown.call, op.ret) or any(
            one.node == op.node and _latest(one) >= shown.call and one.call <= op.ret
            for one in defragmented
        ):
            continue
        assert isinstance(shown.result, MemberSizeResult)
        found.add(
            "written to a full member",
            f"{wording.operation(op)} was acknowledged, although {op.node} had already shown a "
            f"size of {shown.result.size_bytes:,} bytes; the quota is {limits.quota_bytes:,}",
            op, shown,
        )


def _is_put(op: Operation) -> bool:
    return op.outcome == "ok" and isinstance(op.request, Put)


def check_defragmentation(space: Space, found: Findings) -> None:
    """Check that a backend is not much larger than its changes after a defragmentation.

    This is judged only if all keys were deleted and compacted before.
    """
    for op in space.history.services:
        if not isinstance(op.result, MemberSizeResult) or op.ret is None:
            continue
        defragmented = _last(space.history.services, op)
        if defragmented is None:
            continue
        compacted = max(
            (one.request.revision for one in space.history.operations
             if isinstance(one.request, Compact) and one.request.physical and one.outcome == "ok"
             and one.node == op.node and (one.ret or 0) < defragmented.call), default=0,
        )  # fmt: skip
        cleared = max(
            (one.result.header.revision for one in space.history.operations
             if isinstance(one.request, Delete) and one.request.range_end and one.result is not None
             and one.f == "clear" and one.result.header.revision <= compacted), default=0,
        )  # fmt: skip
        if not cleared:
            continue
        later = [
            one for one in space.writers
            if one.call <= op.ret and (
                one.outcome != "ok" or one.result is None or one.result.header.revision > cleared
            ) and NO_SPACE not in (one.error or "") and one.outcome != "fail"
        ]
        most = DEFRAGMENTED_BYTES + GROWTH * sum(map(_most_bytes, later))
        if op.result.size_bytes > most:
            found.add(
                "not defragmented",
                f"{op.node} had {op.result.size_bytes:,} bytes at {wording.seconds(op.ret)}, after "
                f"all keys were deleted at revision {cleared}, compacted at revision {compacted} "
                f"and defragmented by {wording.seconds(defragmented.ret or 0)}; at most {most:,} "
                "are needed", op, defragmented,
            )


def _last(
    services: Sequence[ServiceOperation], op: ServiceOperation
) -> ServiceOperation | None:
    """Return the last acknowledged defragmentation of the same member before `op`, or None."""
    ended = [
        one for one in services
        if isinstance(one.request, Defragment) and one.outcome == "ok" and one.node == op.node
        and one.ret is not None and one.ret < op.call
    ]
    return max(ended, key=lambda one: one.ret or 0, default=None)
