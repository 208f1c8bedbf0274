"""Finds the values that one fact, such as "bob has the role r1", may have had at some time.

A fact is changed by operations. An operation takes effect at some time between its invocation and
its return, or at any later time if its outcome is unknown. The values that are possible in a period
follow from these times alone, as for a regular register: the value of a write is possible unless a
later write was acknowledged before the period.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from splitbrain.histories.service_operation import ServiceOperation

V = TypeVar("V", bound=Hashable)
NEVER = 1 << 62
"""A time after every run, in ns."""


@dataclass(frozen=True, slots=True)
class Write(Generic[V]):
    """A change of a fact to `value` by the operation `op`. `op` is None for the initial value."""

    value: V
    call: int
    latest: int
    """The time by which the write has taken effect, if it takes effect."""
    op: ServiceOperation | None

    @property
    def certain(self) -> bool:
        """Return whether the write certainly took effect, because it was acknowledged."""
        return self.op is None or self.op.outcome == "ok"


@dataclass(slots=True)
class Register(Generic[V]):
    """The writes of one fact, such as "bob has the role r1", in the order of their invocations."""

    initial: V
    writes: list[Write[V]] = field(default_factory=list)
    _calls: list[int] = field(default_factory=list)
    _latest_so_far: list[int] = field(default_factory=list)
    """For each write, the highest `latest` of it and all writes before it."""
    _certain: list[tuple[int, int]] = field(default_factory=list)
    """For each certain write, in the order of acknowledgement: when it was acknowledged, and the
    latest invocation among the certain writes up to it."""

    def __post_init__(self) -> None:
        self._append(Write(self.initial, -1, -1, None))

    def write(self, value: V, op: ServiceOperation) -> None:
        """Add a write. Writes must be added in the order of their invocations."""
        latest = op.ret if op.outcome == "ok" and op.ret is not None else NEVER
        self._append(Write(value, op.call, latest, op))

    def close(self) -> None:
        """Prepare for `possible` and `sources`. Call this once, after the last write."""
        highest, found = -1, []
        for latest, call in sorted((one.latest, one.call) for one in self.writes if one.certain):
            highest = max(highest, call)
            found.append((latest, highest))
        self._certain = found

    def _append(self, write: Write[V]) -> None:
        before = self._latest_so_far[-1] if self._latest_so_far else -1
        self.writes.append(write)
        self._calls.append(write.call)
        self._latest_so_far.append(max(before, write.latest))

    def possible(
        self, begin: int, end: int, without: ServiceOperation | None = None
    ) -> frozenset[V]:
        """Return the values that the fact may have had at some time from `begin` to `end`, in ns.

        The write of the operation `without` is left out. The result is then the state before that
        write.
        """
        return frozenset(one.value for one in self.sources(begin, end, without))

    def sources(
        self, begin: int, end: int, without: ServiceOperation | None = None
    ) -> list[Write[V]]:
        """Return the writes that may have set the value between `begin` and `end`, newest first.

        The times are in ns. The write of the operation `without` is left out.
        """
        place = bisect_left(self._certain, (begin, -2))
        bound = self._certain[place - 1][1] if place else -1
        found = []
        for index in range(bisect_right(self._calls, end) - 1, -1, -1):
            if self._latest_so_far[index] < bound:
                break
            one = self.writes[index]
            if one.latest >= bound and (one.op is None or one.op is not without):
                found.append(one)
        return found
