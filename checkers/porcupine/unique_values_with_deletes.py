"""Registers whose values are unique but for one, to which they return: a key and its deletes.

Values written once make blocks, as in `splitbrain.checkers.porcupine.unique_values`; but who met
the
empty register does not tell which of the deletes it met. Two bounds decide nearly all:

- *Illegal*, if the blocks and the deletes, each a block of its own, cannot be ordered
  (who met emptiness left out, no order gets worse by that); or if somebody met emptiness
  though each delete that was called before it returned is surely followed by a value
  that surely came before it.
- *Legal*, if a plan works: go through time, and put off what would end emptiness as long
  as it may be; whoever meets emptiness does so as soon as the register is empty; where
  one can wait no longer, the most urgent delete is taken for it, after all values that
  can be had before. The order that this gives is verified, operation by operation.

What is neither is left to a search. O(n log n).
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from splitbrain.checkers.porcupine.blocks import ILLEGAL, Decision, decide_blocks
from splitbrain.checkers.porcupine.unique_values import NOTHING, that_happened


@dataclass(slots=True)
class _Piece:
    """A block, a delete, or one that met emptiness: to be placed at once, by `deadline`.

    A block in which something returned before something else was called takes until
    `until`, and nothing else can be placed meanwhile.
    """

    groups: list[list[int]]
    release: float = -math.inf
    deadline: float = math.inf
    until: float = -math.inf
    needs_empty: bool = False
    leaves_empty: bool = False
    placed: bool = False


def decide_with_deletes(
    met: Sequence[Hashable],
    wrote: Sequence[Hashable],
    calls: Sequence[float],
    rets: Sequence[float],
    empty: Hashable,
) -> Decision | None:
    """As `decide_register`, of a register that is `empty` first, and again whenever an
    operation wrote that. None: another value is written twice, or neither bound holds."""
    sorted_out = _Sorted.of(met, wrote, calls, rets, empty)
    if sorted_out is None:
        return None
    found = sorted_out
    if not found.consistent or not found.bound(calls, rets):
        return ILLEGAL
    order = _Plan(found, calls).order()
    if order is None or not _verified(order, found, met, wrote, calls, rets, empty):
        return None
    return Decision(True, lambda: order)


@dataclass(slots=True)
class _Sorted:
    """The pieces of a history."""

    blocks: list[_Piece] = field(default_factory=list)
    deletes: list[_Piece] = field(default_factory=list)
    observers: list[_Piece] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    """Deletes that are the end of a block: told which value they met."""
    happened: set[int] = field(default_factory=set)
    consistent: bool = True

    @classmethod
    def of(
        cls, met: Sequence[Hashable], wrote: Sequence[Hashable], calls: Sequence[float],
        rets: Sequence[float], empty: Hashable,
    ) -> _Sorted | None:
        writer: dict[Hashable, int] = {}
        for n, value in enumerate(wrote):
            if value is not NOTHING and value != empty:
                if value in writer:
                    return None
                writer[value] = n
        found = cls(happened=that_happened(met, writer, rets))
        readers: dict[Hashable, list[int]] = {}
        following: dict[Hashable, int] = {}
        starts: list[int] = []
        for n, (before, after) in enumerate(zip(met, wrote, strict=True)):
            if after is not NOTHING and after == empty and before is NOTHING:
                found.deletes.append(_Piece([[n]], calls[n], rets[n], leaves_empty=True))
            elif n not in found.happened or (before is NOTHING and after is NOTHING):
                continue
            elif before is NOTHING or (before == empty and after not in (NOTHING, empty)):
                starts.append(n)
            elif before == empty:
                found.observers.append(
                    _Piece([[n]], calls[n], rets[n], needs_empty=True, leaves_empty=True)
                )
            elif after is NOTHING:
                readers.setdefault(before, []).append(n)
            elif before in following:
                found.consistent = False
            else:
                following[before] = n
        for n in starts:
            piece = _Piece([], needs_empty=met[n] is not NOTHING)
            last: int | None = n
            while last is not None:
                piece.groups.append([last])
                value = wrote[last]
                if value == empty:
                    piece.leaves_empty = True
                    found.taken.append(last)
                    break
                piece.groups.append(sorted(readers.pop(value, []), key=lambda one: calls[one]))
                last = following.pop(value, None)
            found.blocks.append(piece)
        found.consistent = found.consistent and not readers and not following
        return found

    def bound(self, calls: Sequence[float], rets: Sequence[float]) -> bool:
        """Whether nothing speaks against an order; sets the blocks' times."""
        sure = [piece.groups for piece in self.deletes if piece.deadline != math.inf]
        blocks = [piece.groups for piece in self.blocks]
        if not decide_blocks([*blocks, *sure], calls, rets).legal:
            return False
        for piece in self.blocks:
            everyone = [n for group in piece.groups for n in group]
            piece.deadline = min(rets[n] for n in everyone)
            piece.until = max(calls[n] for n in everyone)
            piece.release = min(piece.until, piece.deadline)
        return self._emptiness_met(calls, rets)

    def _emptiness_met(self, calls: Sequence[float], rets: Sequence[float]) -> bool:
        """Whether for each that met emptiness some delete, or the start, is not surely past."""
        by_return = sorted((piece.deadline, piece.until) for piece in self.blocks)
        returns = [first for first, _ in by_return]
        latest_calls = list(accumulate((last for _, last in by_return), max))
        deletes = [n for piece in self.deletes for group in piece.groups for n in group]
        by_call = sorted((calls[n], rets[n]) for n in (*deletes, *self.taken))
        delete_calls = [call for call, _ in by_call]
        latest_rets = list(accumulate((ret for _, ret in by_call), max))
        observers = [piece.groups[0][0] for piece in self.observers]
        observers += [piece.groups[0][0] for piece in self.blocks if piece.needs_empty]
        for n in observers:
            filled = _last_before(returns, calls[n], strictly=True)
            if filled < 0:
                continue
            place = _last_before(delete_calls, rets[n], strictly=False)
            if place < 0 or latest_rets[place] < latest_calls[filled]:
                return False
        return True


def _last_before(times: list[float], time: float, strictly: bool) -> int:
    place = bisect_right(times, time) - 1
    while strictly and place >= 0 and times[place] == time:
        place -= 1
    return place


class _Plan:
    """Going through time by deadlines."""

    def __init__(self, found: _Sorted, calls: Sequence[float]) -> None:
        everything = [*found.blocks, *found.deletes, *found.observers]
        self._urgent = sorted(
            (piece for piece in everything if piece.deadline != math.inf),
            key=lambda piece: (piece.deadline, piece.until),
        )
        self._observers = sorted(found.observers, key=lambda piece: piece.release, reverse=True)
        whole = [piece for piece in found.blocks if piece.until <= piece.deadline]
        emptying = [piece for piece in whole if piece.leaves_empty and not piece.needs_empty]
        self._deletes = sorted(
            [*found.deletes, *emptying], key=lambda piece: piece.release, reverse=True
        )
        self._needing = sorted(
            (piece for piece in whole if piece.needs_empty),
            key=lambda piece: piece.release, reverse=True,
        )  # fmt: skip
        self._fillers = sorted(
            (piece for piece in whole if not (piece.needs_empty or piece.leaves_empty)),
            key=lambda piece: piece.release, reverse=True,
        )  # fmt: skip
        self._filling: list[_Piece] = []
        """Other values that can be placed."""
        self._needy: list[tuple[float, int, _Piece]] = []
        """Blocks that begin with emptiness and can be placed, the most urgent first."""
        self._waiting: list[_Piece] = []
        """Observers that were called and met nothing yet."""
        self._at_hand: list[tuple[float, int, _Piece]] = []
        """Deletes that were called, and blocks that end with one, the most urgent first."""
        self._calls = calls
        self._empty = True
        self._order: list[int] = []

    def order(self) -> list[int] | None:
        place = 0
        while place < len(self._urgent):
            piece = self._urgent[place]
            place += 1
            if piece.placed:
                continue
            self._now(piece.deadline)
            batch = [piece]
            if piece.until > piece.deadline:
                # Nothing can be placed until its end: what cannot wait so long comes before.
                later = place
                while later < len(self._urgent) and self._urgent[later].deadline < piece.until:
                    if not self._urgent[later].placed:
                        batch.insert(-1, self._urgent[later])
                    later += 1
            if not self._place_all(batch):
                return None
        return self._order

    def _now(self, time: float) -> None:
        """What is called by `time` is at hand."""
        while self._observers and self._observers[-1].release <= time:
            self._waiting.append(self._observers.pop())
        while self._deletes and self._deletes[-1].release <= time:
            piece = self._deletes.pop()
            heapq.heappush(self._at_hand, (piece.deadline, piece.groups[0][0], piece))
        while self._fillers and self._fillers[-1].release <= time:
            self._filling.append(self._fillers.pop())
        while self._needing and self._needing[-1].release <= time:
            piece = self._needing.pop()
            heapq.heappush(self._needy, (piece.deadline, piece.groups[0][0], piece))
        self._meet_emptiness()

    def _place_all(self, batch: list[_Piece]) -> bool:
        """Place `batch`, its last piece last: first what needs emptiness while there is any,
        then other values, then deletes with those who wait for one."""
        *before, last = batch
        if self._empty:
            needy = next((one for one in before if one.needs_empty and not one.placed), None)
            if needy is not None:
                self._place(needy)
        for one in before:
            if not one.placed and not one.needs_empty and not one.leaves_empty:
                self._place(one)
        for one in before:
            if not one.placed and not (self._make_empty(one) and self._place(one)):
                return False
        return self._make_empty(last) and (last.placed or self._place(last))

    def _make_empty(self, piece: _Piece) -> bool:
        """Take a delete if `piece` needs it; whether it may now be placed."""
        if piece.placed or self._empty or not piece.needs_empty:
            return True
        while self._at_hand:
            _, _, delete = heapq.heappop(self._at_hand)
            if not delete.placed:
                return self._place(delete)
        return False

    def _place(self, piece: _Piece) -> bool:
        # What ends emptiness may as well come after one that needs it.
        while self._empty and not piece.needs_empty and not piece.leaves_empty and self._needy:
            _, _, needy = heapq.heappop(self._needy)
            if not needy.placed:
                self._put(needy)
        if not self._empty and piece.leaves_empty:
            # Values that can be had while there is one need not end emptiness later.
            filling, self._filling = self._filling, []
            for filler in filling:
                if not filler.placed:
                    self._put(filler)
        self._put(piece)
        return True

    def _put(self, piece: _Piece) -> None:
        piece.placed = True
        for group in piece.groups:
            self._order.extend(group)
        self._empty = piece.leaves_empty
        self._meet_emptiness()

    def _meet_emptiness(self) -> None:
        if self._empty and self._waiting:
            waiting, self._waiting = self._waiting, []
            for piece in waiting:
                if not piece.placed:
                    piece.placed = True
                    self._order.extend(piece.groups[0])


def _verified(
    order: list[int], found: _Sorted, met: Sequence[Hashable], wrote: Sequence[Hashable],
    calls: Sequence[float], rets: Sequence[float], empty: Hashable,
) -> bool:
    """Whether `order` is a linearization of all that happened."""
    state = empty
    latest = -math.inf
    for n in order:
        latest = max(latest, calls[n])
        if rets[n] < latest or (met[n] is not NOTHING and met[n] != state):
            return False
        if wrote[n] is not NOTHING:
            state = wrote[n]
    placed = set(order)
    return len(placed) == len(order) and all(
        n in placed
        for n in found.happened
        if met[n] is not NOTHING or wrote[n] is not NOTHING
    )
