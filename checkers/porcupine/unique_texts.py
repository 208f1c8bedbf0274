"""Decides strings with put, append and get without a search, if the written pieces are unique.

A *piece* is the string that one put or append writes. A get returns all pieces since the last put,
in the order in which they were written. If no piece is a prefix of another piece, a string can be
split into pieces in only one way. Then each get identifies the writes that came before it.

A put, the appends that gets show after it, and these gets form a block as in
`porcupine/blocks.py`. A write that no get shows is a block that contains only this write. It can
be anywhere except within another block. Cost: O(n log n) and linear in the length of the strings.

If a piece was appended several times, the appends must be assigned to the places where the piece is
shown. First the history is decided with the times of these appends ignored. If it is illegal then,
it is illegal in any case. Otherwise the algorithm tries all assignments, if there are few of them.

A string is *started* by a put, or by an append to the empty string. The same string may have been
started twice, by two puts of one piece, or by a put and an append to the empty string. The
algorithm assumes that each string was started once. If the history is legal under this assumption,
it is legal. Otherwise it is undecided.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise, permutations, product
from typing import Literal

from splitbrain.checkers.porcupine.blocks import ILLEGAL, Block, Decision, decide_blocks

What = Literal["get", "put", "append"]
_WAYS_MAX = 64
"""The maximal number of assignments that are tried. With more, the search may be faster."""
_OFTEN_MAX = 6
"""The maximal number of writes of one piece."""


def decide_text(
    whats: Sequence[What],
    texts: Sequence[str],
    calls: Sequence[float],
    rets: Sequence[float],
) -> Decision | None:
    """Decide whether the operations can be those of one string that is "" at the start.

    `whats[n]` says whether the n-th operation is a get, a put or an append, and `texts[n]` is the
    string that it returned, put or appended. A piece is the string of one put or append. Returns
    None (undecided) if a piece is empty, written too often, or a prefix of another piece.
    """
    puts: dict[str, list[int]] = {}
    appends: dict[str, list[int]] = {}
    shown: dict[str, list[int]] = {}
    for n, what in enumerate(whats):
        text = texts[n]
        if what == "get":
            if rets[n] != math.inf:
                shown.setdefault(text, []).append(n)
        elif not text:
            return None
        else:
            (puts if what == "put" else appends).setdefault(text, []).append(n)
    pieces = puts.keys() | appends.keys()
    if any(longer.startswith(piece) for piece, longer in pairwise(sorted(pieces))):
        return None
    history = _Shown(puts, appends, shown)
    started = history.starts()
    if started is None:
        return ILLEGAL
    starts, undecided = started
    for start in starts[:_WAYS_MAX]:
        placing = _Placing(len(whats), puts, appends)
        blocks = history.blocks(start, placing)
        if blocks is None:
            continue
        decision = placing.decide(blocks, calls, rets)
        if decision is None:
            undecided = True
        elif decision.legal:
            return decision
    return None if undecided or len(starts) > _WAYS_MAX else ILLEGAL


class _Placing:
    """Assigns a write to each place where a string in an answer shows a written piece.

    A piece is the string that one put or append wrote. If it was written once, its write is
    assigned immediately. Otherwise each place gets a placeholder until `decide` chooses an
    assignment. Placeholders are numbers that begin at the number of operations.
    """

    def __init__(
        self, count: int, puts: dict[str, list[int]], appends: dict[str, list[int]]
    ) -> None:
        self._count = count
        self._writes = {id(writes): writes for writes in (*puts.values(), *appends.values())}
        self._placed: set[int] = set()
        self._open: dict[int, list[int]] = {}
        self._opened = 0

    def place(self, writes: list[int]) -> int | None:
        """Return the write that explains one more place where a string shows a piece.

        `writes` are all writes of the piece. The result is the number of a write, or a placeholder
        if the piece was written several times. Returns None if all writes of the piece are already
        assigned.
        """
        if len(writes) == 1:
            if writes[0] in self._placed:
                return None
            self._placed.add(writes[0])
            return writes[0]
        places = self._open.setdefault(id(writes), [])
        if len(places) == len(writes):
            return None
        places.append(self._count + self._opened)
        self._opened += 1
        return places[-1]

    def decide(
        self, blocks: list[Block], calls: Sequence[float], rets: Sequence[float]
    ) -> Decision | None:
        """Decide the history: try the assignments of writes to the placeholders in `blocks`.

        `calls` and `rets` are the times of the operations. Returns None if there are too many
        assignments.
        """
        alone: list[Block] = []
        twice: list[list[int]] = []
        for writes in self._writes.values():
            if len(writes) > 1:
                twice.append(writes)
            elif writes[0] not in self._placed and rets[writes[0]] != math.inf:
                alone.append((writes,))
        if not twice:
            return decide_blocks([*blocks, *alone], calls, rets, starting=True)
        without = ([*calls, *[-math.inf] * self._opened], [*rets, *[math.inf] * self._opened])
        if not decide_blocks([*blocks, *alone], *without, starting=True).legal:
            return ILLEGAL
        if max(len(writes) for writes in twice) > _OFTEN_MAX:
            return None
        ways = list(islice(self._ways(twice), _WAYS_MAX + 1))
        for chosen in ways[:_WAYS_MAX]:
            rest = [
                ([n],)
                for writes in twice
                for n in writes
                if n not in chosen and rets[n] != math.inf
            ]
            all_calls = [*calls, *(calls[n] for n in chosen)]
            all_rets = [*rets, *(rets[n] for n in chosen)]
            found = decide_blocks([*blocks, *alone, *rest], all_calls, all_rets, starting=True)
            if found.legal:
                return self._named(found, chosen)
        return None if len(ways) > _WAYS_MAX else ILLEGAL

    def _ways(self, twice: list[list[int]]) -> Iterator[list[int]]:
        """Yield all assignments of writes to the placeholders.

        `twice` contains, for each piece that was written several times, its writes. An assignment
        contains one write for each placeholder, in the order of the placeholders.
        """
        each = [permutations(writes, len(self._open.get(id(writes), ()))) for writes in twice]
        for filled in product(*each):
            chosen = [0] * self._opened
            for writes, way in zip(twice, filled, strict=True):
                for place, n in zip(self._open.get(id(writes), ()), way, strict=True):
                    chosen[place - self._count] = n
            yield chosen

    def _named(self, found: Decision, chosen: list[int]) -> Decision:
        """Return `found` with the numbers of operations in place of the placeholders.

        `chosen` contains the number of one operation for each placeholder.
        """
        count = self._count
        return Decision(
            True, lambda: [n if n < count else chosen[n - count] for n in found.order()]
        )


class _Shown:
    """The writes and gets of one string.

    The writes are grouped by the piece that they wrote, and the gets by the string that they
    returned.
    """

    def __init__(
        self,
        puts: dict[str, list[int]],
        appends: dict[str, list[int]],
        shown: dict[str, list[int]],
    ) -> None:
        self._puts = puts
        self._appends = appends
        self._shown = shown
        self._gets = sum(len(gets) for gets in shown.values())
        self._lengths = sorted({len(piece) for piece in (*puts, *appends)})
        self._longest_first = sorted((text for text in shown if text), key=len, reverse=True)

    def starts(self) -> tuple[list[str], bool] | None:
        """Return the possible first appends to the initial string, and whether one is ambiguous.

        The first value contains these appends as strings. It is [""] if no get shows an append to
        the initial string. The second value is True if a get begins with a string that was written
        by several puts, or by a put and by an append. Returns None if a get returned a string that
        no order of the writes can make.
        """
        starts = {"": None}
        certain = ""
        again = False
        for text in self._longest_first:
            piece = self._piece_at(text, 0)
            if not piece:
                return None
            puts = len(self._puts.get(piece, ()))
            if piece in self._appends:
                if not puts:
                    certain = piece
                starts[piece] = None
                again = again or puts > 0
            again = again or puts > 1
        return [certain] if certain else list(starts), again

    def blocks(self, start: str, placing: _Placing) -> list[Block] | None:
        """Return the blocks of writes and gets that follow from the answers of the gets.

        The first block is that of the initial string. `start` is the piece that was appended first
        to the initial string, or "". `placing` assigns the writes to the pieces. Returns None if a
        string is impossible in every order of the writes.
        """
        first: list[list[int]] = [self._shown.get("", [])]
        blocks: list[Block] = [first]
        longest: dict[str, str] = {}
        shown = len(first[0])
        for text in self._longest_first:
            piece = self._piece_at(text, 0)
            if piece in longest:
                if not longest[piece].startswith(text):
                    return None
                continue
            longest[piece] = text
            writes = self._appends[piece] if piece == start else self._puts.get(piece)
            if writes is None:
                return None
            block: list[list[int]] = first if piece == start else []
            if block is not first:
                blocks.append(block)
            gets = self._cut(text, block, writes, placing)
            if gets is None:
                return None
            shown += gets
        # A get that is in no block showed a text that ends within a piece.
        return blocks if shown == self._gets else None

    def _cut(
        self, text: str, block: list[list[int]], writes: list[int], placing: _Placing
    ) -> int | None:
        """Cut `text` into pieces, and add the writes and the gets of the pieces to `block`.

        For each piece, its write is added first. Then the gets are added that returned `text` up to
        the end of this piece. `writes` are the possible writes of the first piece. Returns the
        number of gets, or None if a piece is shown more often than it was written.
        """
        at = len(self._piece_at(text, 0))
        shown = 0
        while True:
            n = placing.place(writes)
            if n is None:
                return None
            block.append([n])
            gets = self._shown.get(text[:at])
            if gets is not None:
                block.append(gets)
                shown += len(gets)
            if at == len(text):
                return shown
            piece = self._piece_at(text, at)
            found = self._appends.get(piece)
            if found is None:
                return None
            writes = found
            at += len(piece)

    def _piece_at(self, text: str, at: int) -> str:
        for length in self._lengths:
            piece = text[at : at + length]
            if piece in self._puts or piece in self._appends:
                return piece
        return ""
