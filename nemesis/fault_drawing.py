"""Draws the faults of a run and their times from a seed, before the run.

Each kind of fault has a separate random stream and a separate time line, on which gaps and faults
alternate. Therefore faults of different kinds overlap freely, and adding a kind does not change the
draws of the others. A variant of a fault is a choice of its target and, for example, of the shape
of a partition. The variants are taken from a shuffled deck, because independent draws would give a
short run only a few of them. The numbers of a fault, such as a delay, are drawn independently.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from random import Random

from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.fault import (
    AtStep,
    ClockDrift,
    ClockJump,
    DiskFault,
    Fault,
    Kill,
    Latency,
    Partition,
    PartitionShape,
    Pause,
    PowerLoss,
    ScheduledFault,
    StepAction,
    Target,
)
from splitbrain.nemesis.fault_frequency import Tempo, tempo_for
from splitbrain.nemesis.fault_kinds import KINDS, LINK_KINDS, check_known, check_supported
from splitbrain.nemesis.fault_variants import Variant, always, weighted_targets
from splitbrain.nemesis.link_drawing import (
    corruptions,
    half_open_connections,
    packet_losses,
    slow_receivers,
)
from splitbrain.nemesis.membership_drawing import (
    joint_changes,
    leader_transfers,
    membership_changes,
)
from splitbrain.nemesis.process_drawing import (
    authentications,
    blocked_logs,
    cpu_starvations,
    few_files,
    full_backends,
    little_memory,
    operator_actions,
    restorations,
    syscall_faults,
    upgrades,
)
from splitbrain.nemesis.storage_drawing import draw_storage_faults
from splitbrain.nemesis.target import targets_for
from splitbrain.nemesis.user_fault import drawn, is_user_kind, load, scheduled_by, targets_of

_LEADER_STEPS = (
    "leader_receive", "leader_wal", "replicate", "quorum_ack", "leader_commit", "apply_notify",
    "apply_mvcc", "backend_flush", "respond",
)
_FOLLOWER_STEPS = (
    "follower_forward", "follower_wal", "follower_commit", "apply_notify", "apply_mvcc",
    "backend_flush", "respond",
)
STEPS_DRAWN = (*_LEADER_STEPS, *_FOLLOWER_STEPS)
"""The steps of the write path at which faults are drawn, if members have all failpoints."""


OF_SEVERAL_MEMBERS = (*LINK_KINDS, "members", "joint", "transfer")
"""The kinds that are not drawn for a cluster of one member."""


def draw_faults(
    seed: int,
    kinds: Sequence[str],
    duration_ms: int,
    members: Sequence[str],
    capabilities: Collection[str] = tuple(KINDS),
    tempo: Tempo | None = None,
    *,
    snapshots: bool = False,
    steps: Collection[str] = STEPS_DRAWN,
) -> tuple[ScheduledFault, ...]:
    """Draw faults of `kinds` for a load of `duration_ms`, in the order in which they begin.

    `tempo` is the frequency and the duration of the faults. By default it is
    `tempo_for(duration_ms)`. With `snapshots`, faults of the kind "step" also hit members that
    receive or restore a snapshot. Such a fault has no effect if the run sends no snapshots, and a
    short run with the default settings sends none. `steps` are the steps of the write path at which
    the kind "step" injects faults.

    Kinds that need several members (`OF_SEVERAL_MEMBERS`) are left out for a single member. Raises
    FaultError for a kind that is unknown, or that `capabilities` does not contain.
    """
    check_known(kinds)
    check_supported(kinds, capabilities)
    if not members:
        raise ValueError("cannot draw a schedule of faults: expected at least one member, got none")
    tempo = tempo or tempo_for(duration_ms)
    decks = {**DECKS, "step": _step_deck(steps, snapshots=snapshots)}
    scheduled = [
        fault
        for kind in dict.fromkeys(kinds)
        if kind in decks and (len(members) > 1 or kind not in OF_SEVERAL_MEMBERS)
        for fault in _time_line(
            decks[kind](len(members)), stream(seed, "nemesis", kind), duration_ms, tempo
        )
    ]
    if STORAGE in kinds:
        random = stream(seed, "nemesis", STORAGE)
        scheduled += draw_storage_faults(members, random, duration_ms, tempo)
    for path in filter(is_user_kind, dict.fromkeys(kinds)):
        random = stream(seed, "nemesis", path)
        scheduled += _user_faults(path, random, duration_ms, members, tempo)
    order = {kind: place for place, kind in enumerate(KINDS)}

    def place(one: ScheduledFault) -> tuple[int, int, int]:
        return one.begin_ms, order.get(_kind(one.fault), order[STORAGE]), one.end_ms

    return tuple(sorted(scheduled, key=place))


def _user_faults(
    path: str, random: Random, duration_ms: int, members: Sequence[str], tempo: Tempo
) -> Iterable[ScheduledFault]:
    """Return the faults of a run that the user's class or function at `path` defines."""
    found = load(path)
    if not isinstance(found, type):
        return scheduled_by(path, found, random, duration_ms, members)
    targets = targets_of(found, weighted_targets(len(members)))
    return _time_line(
        [drawn(path, found, target) for target in targets], random, duration_ms, tempo
    )


def _time_line(
    deck: Sequence[Variant], random: Random, duration_ms: int, tempo: Tempo
) -> Iterator[ScheduledFault]:
    """Yield the faults of one kind, one after the other, with a short gap before the first."""
    tail_begin_ms = duration_ms - tempo.tail_ms
    variants = _shuffled_variants(deck, random)
    now_ms = random.randint(tempo.gap_ms[0] // 3, max(tempo.gap_ms[1] // 2, tempo.gap_ms[0] // 3))
    while now_ms + tempo.hold_ms[0] <= tail_begin_ms:
        hold_ms = random.randint(*tempo.hold_ms)
        end_ms = min(now_ms + hold_ms, tail_begin_ms)
        yield ScheduledFault(now_ms, end_ms, next(variants)(random), random.getrandbits(48))
        now_ms = end_ms + max(random.randint(*tempo.gap_ms), 1)


def _shuffled_variants(deck: Sequence[Variant], random: Random) -> Iterator[Variant]:
    """Yield the variants of `deck` in random order, without end.

    The deck is shuffled again each time that it is used up. The first or the second variant hits
    the leader, so that even a short run tests the leader, where most errors of a protocol are.
    """
    order = random.sample(deck, len(deck))
    place = next((place for place, variant in enumerate(order) if _hits_leader(variant)), 0)
    if place > 1:
        order.insert(random.randrange(2), order.pop(place))
    while True:
        yield from order
        order = random.sample(deck, len(deck))


def _hits_leader(variant: Variant) -> bool:
    return getattr(variant(Random(0)), "target", None) == "leader"


def _kills(member_count: int) -> list[Variant]:
    return [always(Kill(target)) for target in weighted_targets(member_count)]


def _pauses(member_count: int) -> list[Variant]:
    return [always(Pause(target)) for target in weighted_targets(member_count)]


_SHAPES: tuple[tuple[PartitionShape, Target], ...] = (
    ("isolate_leader", "leader"),
    ("isolate_leader", "leader"),
    ("isolate", "follower"),
    ("isolate", "any"),
    ("halves", "leader"),
    ("halves", "leader"),
    ("halves", "any"),
    ("bridge", "any"),
    ("ring", "any"),
    ("one_way", "leader"),
    ("one_way", "follower"),
    ("isolate", "all"),
)


def _partitions(member_count: int) -> list[Variant]:
    return [
        _partition(shape, target)
        for shape, target in _SHAPES
        if member_count > 2 or shape not in ("bridge", "ring")
    ]


def _partition(shape: PartitionShape, target: Target) -> Variant:
    def draw(random: Random) -> Fault:
        return Partition(shape, target, "cut" if random.random() < 0.5 else "black_hole")

    return draw


def _latencies(member_count: int) -> list[Variant]:
    return [_latency(target) for target in weighted_targets(member_count)]


def _latency(target: Target) -> Variant:
    def draw(random: Random) -> Fault:
        # The delays range from that of a busy data centre to more than an etcd heartbeat (100 ms),
        # and are shorter than its election timeout (1 s). One in three also has a limited rate.
        delay_ms = random.choice((5, 20, 50, 100, 250))
        jitter_ms = random.randint(0, delay_ms)
        rate = random.choice((0, 0, 64 * 1024))
        return Latency(target, delay_ms, jitter_ms, rate)

    return draw


def _power_losses(member_count: int) -> list[Variant]:
    # Often all machines of a site lose power together, so each target has the same weight.
    return [always(PowerLoss(target)) for target in targets_for(member_count)]


def _clock_jumps(member_count: int) -> list[Variant]:
    def draw(target: Target) -> Variant:
        return lambda random: ClockJump(
            target, random.choice((-3_600_000, -5_000, -500, 500, 5_000, 3_600_000))
        )

    return [draw(target) for target in weighted_targets(member_count)]


def _clock_drifts(member_count: int) -> list[Variant]:
    def draw(target: Target) -> Variant:
        # The rates range from that of a bad crystal to that of a broken virtual machine.
        return lambda random: ClockDrift(
            target, random.choice((-1, 1)) * random.choice((200, 5_000, 50_000, 300_000))
        )

    return [draw(target) for target in weighted_targets(member_count)]


def _disk_faults(member_count: int) -> list[Variant]:
    """Return the variants of disk faults that a correct store survives on any number of members."""

    def draw(target: Target) -> Variant:
        return lambda random: random.choice((
            DiskFault(target, slow_ms=random.choice((5, 50, 300))),
            DiskFault(target, slow_ms=random.choice((5, 50, 300))),
            DiskFault(target, full=True),
            DiskFault(target, write_error_percent=random.choice((1.0, 20.0, 100.0))),
            DiskFault(target, sync_error_percent=random.choice((1.0, 20.0, 100.0))),
        ))

    return [draw(target) for target in weighted_targets(member_count)]


_SNAPSHOT_STEPS = ("snapshot_receive", "snapshot_restore")
_SNAPSHOT_ACTIONS: tuple[StepAction, ...] = ("crash", "crash", "power", "isolate", "sleep")
_STEP_ACTIONS: tuple[StepAction, ...] = ("crash", "crash", "power", "pause", "isolate", "sleep")


def _step_deck(steps: Collection[str], *, snapshots: bool) -> Callable[[int], list[Variant]]:
    """Return a function that returns the variants of faults at `steps`, given a member count.

    Each fault hits one member just before or after a step of the write path.
    """

    def deck(member_count: int) -> list[Variant]:
        leading = [name for name in _LEADER_STEPS if name in steps]
        following = [name for name in _FOLLOWER_STEPS if name in steps]
        if member_count == 1:
            return [_step("all", leading)]
        leader, follower = _step("leader", leading), _step("follower", following)
        # Snapshots are rare, and a member that leads when the failpoints are set may receive one
        # later. So the failpoint is set on all members, and the fault hits the first visit.
        snapshot = _step("all", _SNAPSHOT_STEPS, _SNAPSHOT_ACTIONS, visits=(1,))
        return [leader, leader, leader, follower, follower, *([snapshot] * 2 if snapshots else ())]

    return deck


def _step(
    target: Target,
    names: Sequence[str],
    actions: Sequence[StepAction] = _STEP_ACTIONS,
    visits: Sequence[int] = (1, 1, 2, 5, 20),
) -> Variant:
    return lambda random: AtStep(
        f"{random.choice(('before', 'after'))}_{random.choice(names)}",
        random.choice(actions),
        visit=random.choice(visits),
        target=target,
    )


STORAGE = "storage"
"""The kind of fault that `splitbrain.nemesis.storage_drawing` draws, without a deck."""

DECKS: dict[str, Callable[[int], list[Variant]]] = {
    "kill": _kills,
    "pause": _pauses,
    "partition": _partitions,
    "latency": _latencies,
    "loss": packet_losses,
    "corruption": corruptions,
    "half_open": half_open_connections,
    "slow_receiver": slow_receivers,
    "power": _power_losses,
    "clock": _clock_jumps,
    "drift": _clock_drifts,
    "disk": _disk_faults,
    "step": _step_deck(STEPS_DRAWN, snapshots=False),
    "syscall": syscall_faults,
    "operator": operator_actions,
    "members": membership_changes,
    "transfer": leader_transfers,
    "joint": joint_changes,
    "cpu": cpu_starvations,
    "files": few_files,
    "memory": little_memory,
    "log": blocked_logs,
    "upgrade": upgrades,
    "restore": restorations,
    "auth": authentications,
    "space": full_backends,
}


def _kind(fault: Fault) -> str:
    return str(type(fault).__struct_config__.tag)
