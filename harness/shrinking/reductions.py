"""Proposes smaller schedules. Each function yields candidates: changed copies of a schedule.

The functions are called reductions. Candidates that remove more come first. The functions do not
simulate a candidate to find out whether it still fails; `search.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from msgspec.structs import replace

from splitbrain.checkers.model.request_parts import ranges
from splitbrain.harness.schedule.network_and_disk_conditions import IDEAL_DISK, IDEAL_NETWORK
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.schedule import (
    Schedule,
    TimedOperation,
    clients_of,
    default_settings,
    has_plain_environment,
    member_seeds,
    plain_settings,
    with_changes,
    with_operations,
    with_plain_environment,
)
from splitbrain.histories.kv import Request, Txn
from splitbrain.histories.service_operation import AnyRequest
from splitbrain.nemesis.disk_fault import BitRot, DiskCrash, DiskFault, LostSectors
from splitbrain.nemesis.fault import (
    ClockDrift,
    ClockJump,
    Corruption,
    Fault,
    HalfOpen,
    Kill,
    Latency,
    MembershipChange,
    PacketLoss,
    Partition,
    PowerLoss,
    ScheduledFault,
    SlowReceiver,
)

T = TypeVar("T")
Reduction = Callable[[Schedule], Iterator[Schedule]]

TAIL_MS = 100
"""The time in ms from the beginning of the last operation or fault to the end of the load."""
HOLDS_MS = (100, 300, 1000, 3000)
"""The durations that are tried for a fault."""
ROUND_MS = (1000, 100, 10)
"""Times are rounded up to multiples of these numbers."""
GAPS_MS = (0, 100, 500, 1500)
"""The lengths in ms that are tried for the time between two successive operations or faults."""


def subsets(items: Sequence[T], least: int = 1) -> Iterator[list[T]]:
    """Yield copies of `items` from which one part is left out.

    The left-out part is first the whole list, then each half, each quarter, and so on, down to
    parts of `least` items.
    """
    size = len(items)
    while size >= max(least, 1):
        for begin in range(0, len(items), size):
            yield [*items[:begin], *items[begin + size :]]
        size //= 2


def earlier_ends(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` that end earlier, without the later operations and faults."""
    limit_ms = schedule.time_limit_ms
    for part in (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85):
        yield ended_at(schedule, round(limit_ms * part))
    last_ms = last_begin_ms(schedule) + TAIL_MS
    if last_ms < limit_ms:
        yield ended_at(schedule, last_ms)


def ended_at(schedule: Schedule, limit_ms: int) -> Schedule:
    """Return a copy of `schedule` whose load ends at `limit_ms`.

    Operations and faults that begin later are left out.
    """
    kept = {
        number: one for number, one in enumerate(schedule.operations, start=1)
        if one.at_us < limit_ms * 1000
    }
    faults = tuple(
        replace(one, end_ms=max(min(one.end_ms, limit_ms), one.begin_ms))
        for one in schedule.faults if one.begin_ms < limit_ms
    )
    shorter = with_changes(schedule, faults=faults, time_limit_ms=max(limit_ms, 1))
    return with_operations(shorter, kept)


def last_begin_ms(schedule: Schedule) -> int:
    """Return the time in ms at which the last operation or fault begins."""
    begins = [one.at_us // 1000 for one in schedule.operations]
    return max([*begins, *(one.begin_ms for one in schedule.faults)], default=0)


def fewer_faults(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` without some of the faults.

    The last copies lack only one fault.
    """
    for kept in subsets(schedule.faults):
        yield with_changes(schedule, faults=tuple(kept))


def far_fewer_faults(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` without all, a half, a quarter or an eighth of the faults."""
    for kept in subsets(schedule.faults, least=len(schedule.faults) // 8):
        yield with_changes(schedule, faults=tuple(kept))


def fewer_operations(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` without some of the operations.

    The last copies lack only one operation.
    """
    numbered = list(enumerate(schedule.operations, start=1))
    for kept in subsets(numbered):
        yield with_operations(schedule, dict(kept))


def far_fewer_operations(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` without a large part of the operations.

    The part is the whole, a half, a quarter, an eighth or a sixteenth.
    """
    numbered = list(enumerate(schedule.operations, start=1))
    for kept in subsets(numbered, least=len(numbered) // 16):
        yield with_operations(schedule, dict(kept))


def fewer_clients(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` with fewer clients.

    In the first copy, one client sends all operations. In the others, one client and its operations
    are left out.
    """
    numbered = list(enumerate(schedule.operations, start=1))
    clients = range(len(schedule.clients))
    if len(clients) > 1:
        yield with_operations(
            schedule, {number: replace(one, client=0) for number, one in numbered}
        )
        for client in clients:
            yield with_operations(
                schedule, {number: one for number, one in numbered if one.client != client}
            )


def half_the_clients(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` without the operations of a half or a quarter of the clients."""
    numbered = list(enumerate(schedule.operations, start=1))
    clients = range(len(schedule.clients))
    for kept in subsets(clients, least=len(clients) // 4):
        yield with_operations(
            schedule, {number: one for number, one in numbered if one.client in kept}
        )


def fewer_watchers(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` without some of the watchers."""
    for kept in subsets(schedule.watchers):
        yield with_changes(schedule, watchers=tuple(kept))


def shorter_watchers(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` in which one watcher has fewer streams.

    It keeps only the first half of its streams, or one of them.
    """
    watchers = schedule.watchers
    for place, one in enumerate(watchers):
        for kept in (one.streams[: len(one.streams) // 2], *((a,) for a in one.streams)):
            if kept and len(kept) < len(one.streams):
                shorter = replace(one, streams=tuple(kept))
                changed = (*watchers[:place], shorter, *watchers[place + 1 :])
                yield with_changes(schedule, watchers=changed)


def fewer_members(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` with only the first member, or only the first three.

    Operations and watches at a removed member are sent to a remaining member. Faults that hit only
    removed members are removed.
    """
    for count in (1, 3):
        if count >= len(schedule.members):
            return
        members = schedule.members[:count]
        clients = clients_of(
            replace(one, operation=replace(one.operation, member=one.operation.member % count))
            for one in schedule.operations
        )
        faults = tuple(
            replace(one, fault=fault)
            for one in schedule.faults if (fault := _within(one.fault, members)) is not None
        )
        leader = schedule.leader
        watchers = tuple(
            replace(watcher, streams=tuple(
                replace(one, member=one.member % count) for one in watcher.streams
            ))
            for watcher in schedule.watchers
        )
        yield with_changes(
            schedule, members=members, clients=clients, faults=faults, watchers=watchers,
            member_seeds=member_seeds(schedule.seed, members),
            leader=leader if leader in members else "",
        )


def _within(fault: Fault, members: Sequence[str]) -> Fault | None:
    """Return `fault` restricted to `members`: other names are removed from `fault.on`.

    A fault whose `on` is empty is returned unchanged. Returns None if no name is left.
    """
    if not fault.on:
        return fault
    on = tuple(name for name in fault.on if name in members)
    return replace(fault, on=on) if on else None


def plain_environment(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` whose environment is simpler.

    In the first copy, the whole environment is plain (`with_plain_environment`). In each later
    copy, only one part of the environment is plain:

    - no rare conditions are forced inside the members (`buggify`);
    - network and disks are ideal, and the harness adds no entries to the logs of deposed leaders;
    - the members have the default settings.
    """
    yield with_plain_environment(schedule)
    yield replace(schedule, buggify=False)
    yield replace(schedule, network=IDEAL_NETWORK, disk=IDEAL_DISK, deposed_longer_by=0)
    yield replace(schedule, settings=dict(default_settings(schedule.system)))


def plainer_environment(schedule: Schedule) -> Iterator[Schedule]:
    """Yield all that `plain_environment` yields, then copies in which one value gets its default.

    The values are settings of the members, and conditions of the network and the disks.
    """
    defaults = plain_settings(schedule)
    yield from plain_environment(schedule)
    for name, value in schedule.settings.items():
        if defaults.get(name) != value:
            kept = {**defaults, **{k: v for k, v in schedule.settings.items() if k != name}}
            yield replace(schedule, settings=kept)
    for name in schedule.network.__struct_fields__:
        ideal = getattr(IDEAL_NETWORK, name)
        if getattr(schedule.network, name) != ideal:
            yield replace(schedule, network=replace(schedule.network, **{name: ideal}))
    for name in schedule.disk.__struct_fields__:
        ideal = getattr(IDEAL_DISK, name)
        if getattr(schedule.disk, name) != ideal:
            yield replace(schedule, disk=replace(schedule.disk, **{name: ideal}))
    if schedule.deposed_longer_by:
        yield replace(schedule, deposed_longer_by=0)


def faults_for_environment(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` in which one more fault replaces the adverse conditions.

    The failure may need an event that adverse conditions cause. For example, a slow network can
    cause an election. The copies have no adverse conditions (`with_plain_environment`). The
    additional fault isolates the leader or kills members, which also causes an election.
    """
    if has_plain_environment(schedule):
        return
    limit_ms = schedule.time_limit_ms
    hold_ms = min(max(3 * schedule.options.election_ms, 100), limit_ms)
    for part in (0.0, 0.25, 0.5, 0.75):
        begin_ms = round(limit_ms * part)
        for fault in (Partition("isolate_leader"), Kill("leader"), Kill("follower"), Kill("all")):
            added = ScheduledFault(begin_ms, begin_ms + hold_ms, fault, 0)
            faults = tuple(sorted((*schedule.faults, added), key=lambda one: one.begin_ms))
            yield with_plain_environment(with_changes(schedule, faults=faults))


def simpler_operations(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` in which a transaction is replaced by a smaller one.

    It is replaced by a transaction with fewer parts, or by one of its operations alone.
    Transactions that append to lists stay as they are.
    """
    numbered = dict(enumerate(schedule.operations, start=1))
    for number, one in numbered.items():
        # An append puts the list that its client has read, with new elements at the end.
        # A part of the transaction would put the new elements alone, and lose the others.
        if one.operation.append_to_seen:
            continue
        for request in _simpler(one.operation.request):
            simpler = _with_request(one.operation, request)
            changed = {**numbered, number: replace(one, operation=simpler)}
            yield with_operations(schedule, changed)


def _with_request(operation: ScheduledOperation, request: Request) -> ScheduledOperation:
    """Return a copy of `operation` with `request` in place of its transaction.

    `request` is a part of the transaction. A range in `request` reads at the same revision as it
    did in the transaction.
    """
    assert isinstance(operation.request, Txn)
    backs = dict(operation.ranges_back)
    back_of = {
        id(one): backs.get(place) for place, one in enumerate(ranges(operation.request))
    }
    if isinstance(request, Txn):
        kept = tuple(
            (place, back) for place, one in enumerate(ranges(request))
            if (back := back_of.get(id(one))) is not None
        )
        return replace(operation, request=request, ranges_back=kept)
    return replace(
        operation, request=request, expect_last_seen=(), ranges_back=(),
        revision_back=back_of.get(id(request)),
    )


def _simpler(request: AnyRequest) -> Iterator[Request]:
    if not isinstance(request, Txn):
        return
    for branch in (request.success, request.failure):
        yield from (one for one in branch if not isinstance(one, Txn))
    if request.failure:
        yield replace(request, failure=())
    for name in ("success", "failure"):
        branch = getattr(request, name)
        if len(branch) > 1:
            yield from (replace(request, **{name: (one,)}) for one in branch)


def shorter_holds(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` in which one fault is shortened to a time from `HOLDS_MS`."""
    faults = schedule.faults
    for place, one in enumerate(faults):
        for hold_ms in HOLDS_MS:
            if one.begin_ms + hold_ms >= one.end_ms:
                break
            shorter = replace(one, end_ms=one.begin_ms + hold_ms)
            yield with_changes(schedule, faults=(*faults[:place], shorter, *faults[place + 1 :]))


def rounder_times(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` with times that are rounded up to multiples of `ROUND_MS`.

    The first copies round all times. Each later copy rounds the time of one operation.
    """
    numbered = dict(enumerate(schedule.operations, start=1))
    for step_ms in ROUND_MS:
        moved = {number: _rounded(one, step_ms) for number, one in numbered.items()}
        faults = tuple(_rounded_fault(one, step_ms) for one in schedule.faults)
        changed = with_operations(with_changes(schedule, faults=faults), moved)
        if changed != schedule:
            yield changed
    for number, one in numbered.items():
        for step_ms in ROUND_MS:
            rounded = _rounded(one, step_ms)
            if rounded == one:
                break
            yield with_operations(schedule, {**numbered, number: rounded})


def _rounded(one: TimedOperation, step_ms: int) -> TimedOperation:
    step_us = step_ms * 1000
    return replace(one, at_us=-(-one.at_us // step_us) * step_us)


def _rounded_fault(one: ScheduledFault, step_ms: int) -> ScheduledFault:
    begin_ms = -(-one.begin_ms // step_ms) * step_ms
    hold_ms = max(-(-(one.end_ms - one.begin_ms) // step_ms) * step_ms, step_ms)
    return replace(one, begin_ms=begin_ms, end_ms=begin_ms + hold_ms)


def quicker_conclusions(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` with a shorter `quiet_timeout_ms`.

    This option limits the wait, at the end of a run, until the members agree. If the members never
    agree in the failing run, every run waits until this limit. With a lower limit, the simulation
    of later candidates takes less time.
    """
    for quiet_ms in (2_000, 8_000):
        if schedule.options.quiet_timeout_ms > quiet_ms:
            options = replace(schedule.options, quiet_timeout_ms=quiet_ms)
            yield replace(schedule, options=options)


def closer_together(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` in which one gap is reduced to one of `GAPS_MS`.

    A gap is the time between the begins of two successive operations or faults.
    """
    moments = sorted({
        *(one.at_us // 1000 for one in schedule.operations),
        *(one.begin_ms for one in schedule.faults),
    })
    for before_ms, at_ms in zip([0, *moments], moments, strict=False):
        gap_ms = at_ms - before_ms
        for left_ms in GAPS_MS:
            if left_ms < gap_ms:
                yield moved_earlier(schedule, at_ms, gap_ms - left_ms)


def moved_earlier(schedule: Schedule, from_ms: int, by_ms: int) -> Schedule:
    """Return a copy of `schedule` with everything at `from_ms` or later moved `by_ms` earlier."""

    def moved(at_ms: int) -> int:
        return at_ms - by_ms if at_ms >= from_ms else at_ms

    faults = tuple(
        replace(one, begin_ms=moved(one.begin_ms),
                end_ms=max(moved(one.end_ms), moved(one.begin_ms)))
        for one in schedule.faults
    )
    operations = {
        number: replace(one, at_us=one.at_us - by_ms * 1000)
        if one.at_us >= from_ms * 1000 else one
        for number, one in enumerate(schedule.operations, start=1)
    }
    limit_ms = max(schedule.time_limit_ms - by_ms, 1)
    return with_operations(
        with_changes(schedule, faults=faults, time_limit_ms=limit_ms), operations
    )


def plainer_faults(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` in which a fault is replaced by one that is easier to understand.

    - A power loss, or a fault of a disk or a clock, becomes a kill.
    - A crash at a disk operation becomes a kill. Other copies leave out the last of its repeated
      crashes, or let only the process crash in place of a power loss.
    - Slow, lossy or half-open links become a partition that isolates a member.
    - A partition of several links becomes a partition that isolates one member.
    - A black hole, which holds bytes back silently, becomes a cut, which closes connections.
    - A change of the members becomes the removal and addition of a voter, without other changes.
    - A fault of several members becomes a fault of one of them.
    """
    faults = schedule.faults
    for place, one in enumerate(faults):
        for fault in _plainer(one.fault):
            plain = replace(one, fault=fault)
            yield with_changes(schedule, faults=(*faults[:place], plain, *faults[place + 1 :]))


def _plainer(fault: Fault) -> Iterator[Fault]:
    match fault:
        case PowerLoss() | DiskFault() | BitRot() | LostSectors() | ClockJump() | ClockDrift():
            yield Kill(fault.target, on=fault.on)
        case DiskCrash():
            yield Kill(fault.target, on=fault.on)
            if fault.again:
                yield replace(fault, again=fault.again[:-1])
            if fault.do == "power":
                yield replace(fault, do="crash")
        case Latency() | PacketLoss() | Corruption() | HalfOpen() | SlowReceiver():
            yield Partition("isolate", fault.target, on=fault.on)
        case Partition():
            if fault.links:
                ends = sorted({name for link in fault.links for name in link})
                yield from (Partition("isolate", "any", fault.how, on=(name,)) for name in ends)
            if fault.how != "cut":
                yield replace(fault, how="cut")
        case MembershipChange() if fault != (plain := MembershipChange(fault.target, on=fault.on)):
            yield plain
        case _:
            pass
    if len(fault.on) > 1:
        yield from (replace(fault, on=(name,)) for name in fault.on)
