"""The tempo of faults: how often they begin in a run, and how long they last."""

from __future__ import annotations

import msgspec


class Tempo(msgspec.Struct, frozen=True):
    """How often faults of one kind begin, and how long they last.

    `hold_ms` is the shortest and the longest duration of a fault. `gap_ms` is the shortest and the
    longest gap before the next fault. The last `tail_ms` of a run have no faults, so that the
    cluster can recover.
    """

    hold_ms: tuple[int, int]
    gap_ms: tuple[int, int]
    tail_ms: int


LONG = Tempo(hold_ms=(1_000, 6_000), gap_ms=(8_000, 16_000), tail_ms=10_000)
"""The tempo of runs of a minute or more. Some faults are shorter than an election (1 s) and some
are longer, as in Jepsen's etcd tests. With three kinds of faults, one fault begins every five
seconds. With more faults a run would find less, because a store that is always under a fault
completes few operations."""
GAP_EXPONENT = 1.5
"""In a run of m minutes, with m < 1, gaps are multiplied by m ** GAP_EXPONENT.

So gaps shrink faster than the run, and a run of ten seconds still has faults of each kind."""


def tempo_for(duration_ms: int, pace: float = 1.0) -> Tempo:
    """Return the tempo for a load of `duration_ms`, with `pace` times as many faults as usual.

    A load of a minute or more has the tempo `LONG`. In a shorter load, faults and gaps are shorter,
    so that a load of 30 s still has several faults of each kind. With `pace` 1 and a load of at
    least 8 s, each fault lasts at least 1 s, which is long enough for an election.
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
