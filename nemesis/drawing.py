"""Schedules of faults, drawn from a seed before the run.

Each kind of fault draws from a stream of its own and walks its own time line, gap
and fault in turn, so that faults of different kinds overlap freely and a further
kind shifts no other's draws. What a fault is (aim, shape, numbers) is dealt from a
shuffled deck rather than drawn freely: a short run then meets the variety that a
long one would.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from random import Random

import msgspec

from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.catalogue import KINDS, known_kinds, suffers
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
    PlannedFault,
    PowerLoss,
    StepAction,
    Target,
)
from splitbrain.nemesis.target import targets_for


class Tempo(msgspec.Struct, frozen=True):
    """How dense faults of one kind come, in ms.

    A fault holds for `hold_ms` (least, most), after a gap of `gap_ms` (least, most);
    the last `tail_ms` of a run are free of faults, for the cluster to recover in.
    """

    hold_ms: tuple[int, int]
    gap_ms: tuple[int, int]
    tail_ms: int


LONG = Tempo(hold_ms=(1_000, 6_000), gap_ms=(8_000, 16_000), tail_ms=10_000)
"""For runs of a minute or more: faults longer and shorter than an election (1 s), as
Jepsen's etcd tests have them, one every five seconds with three kinds together: a store
that is never left alone answers little, and what is not answered shows little."""
GAP_EXPONENT = 1.5
"""Gaps shrink faster than the run, so that one of ten seconds still sees faults of each kind."""


def tempo_for(duration_ms: int, pace: float = 1.0) -> Tempo:
    """`LONG`, scaled down for shorter runs so that 30 s still see several faults of each kind,
    and `pace` times as dense as that.

    Holds stay long enough to make an election of 1 s happen where the run allows it, and
    nobody asks for a quicker pace.
    """
    tempo = _tempo_for(duration_ms)
    if pace == 1.0:
        return tempo

    def scaled(times_ms: tuple[int, int]) -> tuple[int, int]:
        return max(round(times_ms[0] / pace), 1), max(round(times_ms[1] / pace), 1)

    return Tempo(scaled(tempo.hold_ms), scaled(tempo.gap_ms), tempo.tail_ms)


def _tempo_for(duration_ms: int) -> Tempo:
    scale = min(1.0, duration_ms / 60_000)
    closer = scale**GAP_EXPONENT
    shortest_ms = max(min(LONG.hold_ms[0], duration_ms // 8), 1)
    return Tempo(
        hold_ms=(shortest_ms, max(round(LONG.hold_ms[1] * scale), shortest_ms)),
        gap_ms=(round(LONG.gap_ms[0] * closer), max(round(LONG.gap_ms[1] * closer), 1)),
        tail_ms=min(LONG.tail_ms, max(duration_ms * 15 // 100, min(2_000, duration_ms // 4))),
    )


def draw_schedule(
    seed: int,
    kinds: Sequence[str],
    duration_ms: int,
    members: Sequence[str],
    capabilities: Collection[str] = tuple(KINDS),
    tempo: Tempo | None = None,
    *,
    snapshots: bool = False,
) -> tuple[PlannedFault, ...]:
    """Faults of `kinds` for a load of `duration_ms`, in the order in which they begin.

    `snapshots`: members may be hit on a snapshot's way in, too. Where logs are as long as
    they are by default, a short run sees no snapshot, and such a fault would hit nobody.

    Kinds of links are left out for a single member, which has none. Raises FaultError
    for a kind that is unknown or not among `capabilities`.
    """
    known_kinds(kinds)
    suffers(kinds, capabilities)
    if not members:
        raise ValueError("a schedule of faults needs members: none were given")
    pace = tempo or tempo_for(duration_ms)
    decks = {**DECKS, "step": _steps_and_snapshots} if snapshots else DECKS
    planned = [
        fault
        for kind in dict.fromkeys(kinds)
        if len(members) > 1 or kind not in ("partition", "latency")
        for fault in _time_line(
            decks[kind](len(members)), stream(seed, "nemesis", kind), duration_ms, pace
        )
    ]
    order = {kind: place for place, kind in enumerate(KINDS)}
    return tuple(
        sorted(planned, key=lambda one: (one.begin_ms, order[_kind(one.fault)], one.end_ms))
    )


def _time_line(
    deck: Sequence[Card], random: Random, duration_ms: int, pace: Tempo
) -> Iterator[PlannedFault]:
    """One kind's faults, one after the other; the first comes early."""
    quiet_from_ms = duration_ms - pace.tail_ms
    deal = _dealt(deck, random)
    now_ms = random.randint(pace.gap_ms[0] // 3, max(pace.gap_ms[1] // 2, pace.gap_ms[0] // 3))
    while now_ms + pace.hold_ms[0] <= quiet_from_ms:
        hold_ms = random.randint(*pace.hold_ms)
        end_ms = min(now_ms + hold_ms, quiet_from_ms)
        yield PlannedFault(now_ms, end_ms, next(deal)(random), random.getrandbits(48))
        now_ms = end_ms + max(random.randint(*pace.gap_ms), 1)


Card = Callable[[Random], Fault]
"""Draws the numbers of one variety of a fault."""


def _dealt(deck: Sequence[Card], random: Random) -> Iterator[Card]:
    """Hand after hand. The leader is hit by the first or the second fault: where most of a
    protocol's trouble is, even a short run must have been."""
    hand = random.sample(deck, len(deck))
    place = next((place for place, card in enumerate(hand) if _hits_leader(card)), 0)
    if place > 1:
        hand.insert(random.randrange(2), hand.pop(place))
    while True:
        yield from hand
        hand = random.sample(deck, len(deck))


def _hits_leader(card: Card) -> bool:
    return getattr(card(Random(0)), "target", None) == "leader"


# How often each aim lies in a deck of kills or pauses: the leader is where most of a
# protocol's trouble is, and a fault on everyone costs a run most of its answers.
_AIM_WEIGHTS: dict[Target, int] = {
    "leader": 3, "any": 2, "follower": 2, "minority": 1, "majority": 1, "all": 1,
}


def _targets(member_count: int) -> list[Target]:
    return [target for target in targets_for(member_count) for _ in range(_AIM_WEIGHTS[target])]


def _kills(member_count: int) -> list[Card]:
    return [_always(Kill(target)) for target in _targets(member_count)]


def _pauses(member_count: int) -> list[Card]:
    return [_always(Pause(target)) for target in _targets(member_count)]


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


def _partitions(member_count: int) -> list[Card]:
    return [
        _partition(shape, target)
        for shape, target in _SHAPES
        if member_count > 2 or shape not in ("bridge", "ring")
    ]


def _partition(shape: PartitionShape, target: Target) -> Card:
    def draw(random: Random) -> Fault:
        return Partition(shape, target, "cut" if random.random() < 0.5 else "black_hole")

    return draw


def _latencies(member_count: int) -> list[Card]:
    return [_latency(target) for target in _targets(member_count)]


def _latency(target: Target) -> Card:
    def draw(random: Random) -> Fault:
        # From a busy data centre's to more than an etcd heartbeat (100 ms), below its
        # election timeout (1 s); one in three also with a thin pipe.
        delay_ms = random.choice((5, 20, 50, 100, 250))
        jitter_ms = random.randint(0, delay_ms)
        rate = random.choice((0, 0, 64 * 1024))
        return Latency(target, delay_ms, jitter_ms, rate)

    return draw


def _always(fault: Fault) -> Card:
    return lambda _: fault


def _power_losses(member_count: int) -> list[Card]:
    # Everyone at once is what a power loss is: no aim is rarer than another.
    return [_always(PowerLoss(target)) for target in targets_for(member_count)]


def _clock_jumps(member_count: int) -> list[Card]:
    def draw(target: Target) -> Card:
        return lambda random: ClockJump(
            target, random.choice((-3_600_000, -5_000, -500, 500, 5_000, 3_600_000))
        )

    return [draw(target) for target in _targets(member_count)]


def _clock_drifts(member_count: int) -> list[Card]:
    def draw(target: Target) -> Card:
        # From a bad crystal's to a broken virtual machine's.
        return lambda random: ClockDrift(
            target, random.choice((-1, 1)) * random.choice((200, 5_000, 50_000, 300_000))
        )

    return [draw(target) for target in _targets(member_count)]


def _disk_faults(member_count: int) -> list[Card]:
    """Those that a correct store survives, on any members."""

    def draw(target: Target) -> Card:
        return lambda random: random.choice((
            DiskFault(target, slow_ms=random.choice((5, 50, 300))),
            DiskFault(target, slow_ms=random.choice((5, 50, 300))),
            DiskFault(target, full=True),
            DiskFault(target, write_error_percent=random.choice((1.0, 20.0, 100.0))),
            DiskFault(target, sync_error_percent=random.choice((1.0, 20.0, 100.0))),
        ))

    return [draw(target) for target in _targets(member_count)]


_LEADERS_STEPS = (
    "leader_receive", "leader_wal", "replicate", "quorum_ack", "leader_commit", "apply_notify",
    "apply_mvcc", "backend_flush", "respond",
)
_FOLLOWERS_STEPS = (
    "follower_forward", "follower_wal", "follower_commit", "apply_notify", "apply_mvcc",
    "backend_flush", "respond",
)
_SNAPSHOT_STEPS = ("snapshot_receive", "snapshot_restore")
_AT_SNAPSHOT: tuple[StepAction, ...] = ("crash", "crash", "power", "isolate", "sleep")
_AT_STEP: tuple[StepAction, ...] = ("crash", "crash", "power", "pause", "isolate", "sleep")


def _steps(member_count: int) -> list[Card]:
    """What happens to one member just before or after a step that it takes."""
    if member_count == 1:
        return [_step("all", _LEADERS_STEPS)]
    leader, follower = _step("leader", _LEADERS_STEPS), _step("follower", _FOLLOWERS_STEPS)
    return [leader, leader, leader, follower, follower]


def _steps_and_snapshots(member_count: int) -> list[Card]:
    if member_count == 1:
        return _steps(member_count)
    # Few snapshots come, and whoever leads when the fault is armed may need one later.
    snapshot = _step("all", _SNAPSHOT_STEPS, _AT_SNAPSHOT, visits=(1,))
    return [*_steps(member_count), snapshot, snapshot]


def _step(
    target: Target,
    names: Sequence[str],
    actions: Sequence[StepAction] = _AT_STEP,
    visits: Sequence[int] = (1, 1, 2, 5, 20),
) -> Card:
    return lambda random: AtStep(
        f"{random.choice(('before', 'after'))}_{random.choice(names)}",
        random.choice(actions),
        visit=random.choice(visits),
        target=target,
    )


DECKS: dict[str, Callable[[int], list[Card]]] = {
    "kill": _kills,
    "pause": _pauses,
    "partition": _partitions,
    "latency": _latencies,
    "power": _power_losses,
    "clock": _clock_jumps,
    "drift": _clock_drifts,
    "disk": _disk_faults,
    "step": _steps,
}


def _kind(fault: Fault) -> str:
    return str(type(fault).__struct_config__.tag)
