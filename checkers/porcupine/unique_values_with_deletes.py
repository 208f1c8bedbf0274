"""Decides registers that can be deleted, if all written values other than "empty" are unique.

The register is *empty* at the start and after each delete. The value that an operation *meets* is
the value of the register just before the operation takes effect. Unique values give blocks, as
described in `porcupine/unique_values.py`: a write, the operations that met its value, and so on.
If an operation met the empty register, its answer does not show which delete emptied the register.
This module therefore uses two tests, which together decide nearly all histories:

- *Illegal.* The first part of the test ignores the operations that met the empty register. If the
  blocks and the deletes (each delete is one block) have no valid order, the history is illegal,
  because fewer operations only make it easier to find an order. The second part examines each
  operation X that met the empty register. If a value was certainly written before X, a delete must
  take effect between this write and X. The history is illegal if there is no such delete: each
  delete that was called before X returned had certainly taken effect before the write.
- *Legal.* A greedy algorithm (`_Plan`) builds one order from pieces. A piece is a block, a delete,
  or an operation that met the empty register. The pieces are placed by their deadlines. A block
  that fills the register is placed as late as possible. The operations that met the empty register
  are placed as soon as the register is empty. If such an operation cannot wait any longer, the
  algorithm first places all blocks that can be placed already, and then the delete with the
  earliest deadline. `_verified` then checks the order operation by operation. The history is legal
  if the order is a linearization.

If neither test decides, the result is None, and the caller must search. Cost: O(n log n).
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from splitbrain.checkers.porcupine.blocks import ILLEGAL, Decision, decide_blocks
from splitbrain.checkers.porcupine.unique_values import NOTHING, certain_operations


@dataclass(slots=True)
class _Piece:
    """Operations that are placed directly after each other in the order that the plan builds.

    They are a block, a delete, or an operation that found the register empty.
    """

    groups: list[list[int]]
    release: float = -math.inf
    """The earliest time at which the piece can be placed."""
    deadline: float = math.inf
    """The time by which the piece must be placed: the first return of its operations."""
    until: float = -math.inf
    """The last call of the operations of a block. If it is after `deadline`, no other piece can be
    placed between the two times."""
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
    """Decide a register that has the value `empty` at the start and after each delete.

    When the n-th operation took effect, the register had the value `met[n]`, and the operation
    wrote `wrote[n]`. In `met`, NOTHING means that the value is unknown. In `wrote`, NOTHING means
    that the operation wrote no value. A delete is an operation that wrote `empty`. `calls` and
    `rets` are the times of the operations. Returns None (undecided) if a value other than `empty`
    is written twice, or if neither of the module's two tests decides.
    """
    pieces = _Pieces.of(met, wrote, calls, rets, empty)
    if pieces is None:
        return None
    found = pieces
    if not found.consistent or not found.bound(calls, rets):
        return ILLEGAL
    order = _Plan(found, calls).order()
    if order is None or not _verified(order, found, met, wrote, calls, rets, empty):
        return None
    return Decision(True, lambda: order)


@dataclass(slots=True)
class _Pieces:
    """The pieces of a history of one register: blocks, deletes, and reads of the empty register.

    `observers` are the operations that found the register empty.
    """

    blocks: list[_Piece] = field(default_factory=list)
    deletes: list[_Piece] = field(default_factory=list)
    observers: list[_Piece] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    """The deletes at the end of a block. The answer of such a delete shows the value that it
    met."""
    happened: set[int] = field(default_factory=set)
    consistent: bool = True

    @classmethod
    def of(
        cls, met: Sequence[Hashable], wrote: Sequence[Hashable], calls: Sequence[float],
        rets: Sequence[float], empty: Hashable,
    ) -> _Pieces | None:
        """Divide the history of a register into blocks, deletes, and reads of the empty register.

        Returns None if a value is written twice. The n-th operation met the value `met[n]`, wrote
        `wrote[n]`, and ran from `calls[n]` to `rets[n]`. `empty` is the value of the empty
        register.
        """
        writer: dict[Hashable, int] = {}
        for n, value in enumerate(wrote):
            if value is not NOTHING and value != empty:
                if value in writer:
                    return None
                writer[value] = n
        found = cls(happened=certain_operations(met, writer, rets))
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
        """Set the times of the blocks, and return False if the history is certainly illegal."""
        sure = [piece.groups for piece in self.deletes if piece.deadline != math.inf]
        blocks = [piece.groups for piece in self.blocks]
        if not decide_blocks([*blocks, *sure], calls, rets).legal:
            return False
        for piece in self.blocks:
            everyone = [n for group in piece.groups for n in group]
            piece.deadline = min(rets[n] for n in everyone)
            piece.until = max(calls[n] for n in everyone)
            piece.release = min(piece.until, piece.deadline)
        return self._empty_register_possible(calls, rets)

    def _empty_register_possible(self, calls: Sequence[float], rets: Sequence[float]) -> bool:
        """Return whether the register can have been empty whenever an operation found it empty.

        Such an operation follows the start or a delete, and no block fills the register in between.
        Returns False if this is certainly impossible for one of these operations.
        """
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
    """Orders the blocks, the deletes and the reads of the empty register by their deadlines."""

    def __init__(self, found: _Pieces, calls: Sequence[float]) -> None:
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
        """The blocks that can be placed and that need no empty register and leave none."""
        self._needy: list[tuple[float, int, _Piece]] = []
        """The blocks that need an empty register and can be placed, the most urgent first."""
        self._waiting: list[_Piece] = []
        """The operations that met the empty register, were called, and are not yet placed."""
        self._available: list[tuple[float, int, _Piece]] = []
        """The called deletes, and the blocks that end with a delete, the most urgent first."""
        self._calls = calls
        self._empty = True
        self._order: list[int] = []

    def order(self) -> list[int] | None:
        """Return an order of all operations, or None if the greedy algorithm finds none."""
        place = 0
        while place < len(self._urgent):
            piece = self._urgent[place]
            place += 1
            if piece.placed:
                continue
            self._advance(piece.deadline)
            batch = [piece]
            if piece.until > piece.deadline:
                # No other piece can be placed between the deadline and the last call of this
                # block. So the pieces with a deadline in this time are placed before the block.
                later = place
                while later < len(self._urgent) and self._urgent[later].deadline < piece.until:
                    if not self._urgent[later].placed:
                        batch.insert(-1, self._urgent[later])
                    later += 1
            if not self._place_all(batch):
                return None
        return self._order

    def _advance(self, time: float) -> None:
        """Make the pieces available that can be placed at `time` or earlier."""
        while self._observers and self._observers[-1].release <= time:
            self._waiting.append(self._observers.pop())
        while self._deletes and self._deletes[-1].release <= time:
            piece = self._deletes.pop()
            heapq.heappush(self._available, (piece.deadline, piece.groups[0][0], piece))
        while self._fillers and self._fillers[-1].release <= time:
            self._filling.append(self._fillers.pop())
        while self._needing and self._needing[-1].release <= time:
            piece = self._needing.pop()
            heapq.heappush(self._needy, (piece.deadline, piece.groups[0][0], piece))
        self._place_waiting()

    def _place_all(self, batch: list[_Piece]) -> bool:
        """Place all pieces of `batch`. Returns whether this was possible.

        The last piece of `batch` is placed last. The others are placed in this order:

        1. one piece that needs an empty register, if the register is empty
        2. the pieces that neither need nor leave an empty register
        3. the remaining pieces

        If a piece needs an empty register, and the register is not empty, a delete is placed before
        the piece.
        """
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
        """Place a delete if `piece` needs an empty register and the register is not empty.

        Returns False if no delete is left.
        """
        if piece.placed or self._empty or not piece.needs_empty:
            return True
        while self._available:
            _, _, delete = heapq.heappop(self._available)
            if not delete.placed:
                return self._place(delete)
        return False

    def _place(self, piece: _Piece) -> bool:
        # Before a block fills the empty register, the blocks that need it empty are placed.
        while self._empty and not piece.needs_empty and not piece.leaves_empty and self._needy:
            _, _, needy = heapq.heappop(self._needy)
            if not needy.placed:
                self._put(needy)
        if not self._empty and piece.leaves_empty:
            # Blocks that are placed while the register has a value need not fill it again later.
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
        self._place_waiting()

    def _place_waiting(self) -> None:
        if self._empty and self._waiting:
            waiting, self._waiting = self._waiting, []
            for piece in waiting:
                if not piece.placed:
                    piece.placed = True
                    self._order.extend(piece.groups[0])


def _verified(
    order: list[int], found: _Pieces, met: Sequence[Hashable], wrote: Sequence[Hashable],
    calls: Sequence[float], rets: Sequence[float], empty: Hashable,
) -> bool:
    """Return whether `order` is a linearization of all operations that certainly happened.

    `met` and `wrote` are the values that the operations found and wrote, as in
    `decide_with_deletes`.
    """
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
