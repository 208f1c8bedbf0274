"""Finds poor service: without a fault, many attempts through a member fail or are slow.

The attempts of one kind (write or read) through one member are cut into parts. A part has at least
`PART_ATTEMPTS_MIN` attempts, and takes at least `PART_NS_MIN`. A part is poor if more than
`POOR_PERCENT_MAX` % of its attempts failed or took longer than `SLOW_NS`. The service is poor if
there are at least `PARTS_MIN` parts, and more than half of them are poor.

A single election, or a disk that hangs for a second, makes one or two parts poor. A member that
loses every tenth request makes all parts poor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from splitbrain.checkers.service_level.attempts import Attempt
from splitbrain.checkers.service_level.periods import Period, Stalls

SLOW_NS = 2_000_000_000
PART_ATTEMPTS_MIN = 20
PART_NS_MIN = 1_000_000_000
PARTS_MIN = 5
POOR_PERCENT_MAX = 10.0


class Quality(NamedTuple):
    """The quality of the service of one kind of operation through one member.

    It covers one period without faults. The attempts are cut into `parts` parts, of which
    `poor_parts` contain many attempts that failed or were slow.
    """

    attempts: Sequence[Attempt]
    parts: int
    poor_parts: int

    @property
    def is_poor(self) -> bool:
        """Return whether more than half of the parts are poor."""
        return self.parts >= PARTS_MIN and self.poor_parts * 2 > self.parts

    @property
    def slow(self) -> list[Attempt]:
        """Return the served attempts that took longer than SLOW_NS."""
        return [one for one in self.attempts if one.served and one.end - one.begin > SLOW_NS]


def quality(
    attempts: Sequence[Attempt], free: Period, stalls: Stalls, recovery_ns: int
) -> Quality:
    """Return the quality of the service that `attempts` got in `free`, a period without faults.

    The attempts are those of one kind of operation through one member. Attempts in the first
    `recovery_ns` after a fault are not judged. Attempts that a fault or a stall of the harness may
    have delayed are not judged either.
    """
    begin = free.begin + recovery_ns if free.begin > 0 else 0
    judged = [
        one for one in attempts
        if begin <= one.begin and one.end <= free.end
        and not stalls.overlap_ns(one.begin, one.end)
    ]
    parts = list(_parts(judged))
    return Quality(judged, len(parts), sum(map(_is_poor, parts)))


def _parts(attempts: Sequence[Attempt]) -> Iterator[Sequence[Attempt]]:
    """Cut `attempts` into parts of at least PART_ATTEMPTS_MIN attempts and PART_NS_MIN.

    Attempts at the end that are too few for a part are left out.
    """
    first = 0
    for place, one in enumerate(attempts, start=1):
        long = one.begin - attempts[first].begin >= PART_NS_MIN
        if long and place - first >= PART_ATTEMPTS_MIN:
            yield attempts[first:place]
            first = place


def _is_poor(part: Sequence[Attempt]) -> bool:
    poor = sum(not one.served or one.end - one.begin > SLOW_NS for one in part)
    return 100 * poor > POOR_PERCENT_MAX * len(part)
