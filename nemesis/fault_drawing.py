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
from splitbrain.nemesis.clock_drawing import clock_drifts, clock_jumps
from splitbrain.nemesis.disk_crash_drawing import disk_crashes
from splitbrain.nemesis.disk_drawing import disk_faults
from splitbrain.nemesis.fault import Fault, ScheduledFault
from splitbrain.nemesis.fault_frequency import Tempo, tempo_for
from splitbrain.nemesis.fault_kinds import KINDS, LINK_KINDS, check_known, check_supported
from splitbrain.nemesis.fault_variants import Variant, weighted_targets
from splitbrain.nemesis.link_drawing import (
    corruptions,
    half_open_connections,
    latencies,
    packet_losses,
    partitions,
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
from splitbrain.nemesis.step_drawing import STEPS_DRAWN, step_deck
from splitbrain.nemesis.stop_drawing import kills, pauses, power_losses
from splitbrain.nemesis.storage_drawing import draw_storage_faults
from splitbrain.nemesis.user_fault import drawn, is_user_kind, load, scheduled_by, targets_of

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
    decks = {**DECKS, "step": step_deck(steps, snapshots=snapshots)}
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


STORAGE = "storage"
"""The kind of fault that `splitbrain.nemesis.storage_drawing` draws, without a deck."""

DECKS: dict[str, Callable[[int], list[Variant]]] = {
    "kill": kills,
    "pause": pauses,
    "partition": partitions,
    "latency": latencies,
    "loss": packet_losses,
    "corruption": corruptions,
    "half_open": half_open_connections,
    "slow_receiver": slow_receivers,
    "power": power_losses,
    "clock": clock_jumps,
    "drift": clock_drifts,
    "disk": disk_faults,
    "step": step_deck(STEPS_DRAWN, snapshots=False),
    "disk_crash": disk_crashes,
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
