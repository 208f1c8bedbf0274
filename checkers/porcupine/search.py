"""The search for a linearization of one partition.

Wing and Gong's search, with Lowe's cache of the configurations already refuted:
repeatedly choose, among the operations that were called before any not yet
linearized one returned, the next to take effect; where none fits, go back. Operations
wait in a doubly linked list in the order of their calls, out of which a linearized one
is lifted and into which it is put back.

Four things keep the search small, each of which changes no verdict:

- *A configuration is its unlinearized part.* Everything before the first operation
  still in the list is linearized, so the cache's key is that operation, a bitset of
  the linearized ones after it, and the state: it does not grow with the history.
- *Reading is free.* An operation that never changes a state, and whose answer fits
  the present state, is linearized at once: in any linearization that places it later
  it may be moved here, since nothing else notices.
- *Operations that never returned* may be left out. They are kept aside, out of the
  bitset. Those of equal input are interchangeable, so the one called first is used
  first; one that would not change the state is not used; and a configuration is
  refuted already if the same was refuted with a subset of them used.
- *No choice, no record.* A configuration with a single way on is neither cached nor
  made a place to come back to.

Sources: Wing and Gong, "Testing and verifying concurrent objects" (1993); Lowe,
"Testing for linearizability" (2017); Horn and Kroening, "Faster linearizability
checking via P-compositionality" (2015).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic

from checkers.porcupine.model import I, Model, O, Operation, S
from checkers.porcupine.states import Transitions

_ENTRY_BYTES = 240
"""What a cached configuration weighs in CPython: key, bitset, place in the dict."""


class _Choice:
    """A configuration with several ways on, and which of them comes next."""

    __slots__ = ("base", "moves", "pending", "state", "tried", "undo", "window")

    def __init__(
        self, moves: list[tuple[int, int]], base: int, window: int, state: int,
        pending: int, undo: int,
    ) -> None:
        self.moves = moves
        self.tried = 0
        self.base = base
        self.window = window
        self.state = state
        self.pending = pending
        self.undo = undo


class Search(Generic[S, I, O]):
    """A search that can be continued: `advance` until `found` is not None.

    Operations are known by their place in `operations`. `entries_bytes` estimates the
    memory that the cache holds.
    """

    def __init__(
        self,
        model: Model[S, I, O],
        operations: Sequence[Operation[I, O]],
        keep_partials: bool = False,
    ) -> None:
        self.operations = operations
        self.found: bool | None = None
        self.transitions = Transitions(model)
        self._model = model
        self._keep_partials = keep_partials
        self._longest: list[tuple[int, ...] | None] = [None] * len(operations)
        self._deepest: tuple[int, ...] = ()
        self._cached = 0
        self._lay_out(operations)
        self._cache: dict[tuple[int, int, int], list[int]] = {}
        self._choices: list[_Choice] = []
        self._trail: list[int] = []
        self._base = 0
        self._window = 0
        self._state = self.transitions.first
        self._pending = 0

    def _lay_out(self, operations: Sequence[Operation[I, O]]) -> None:
        """The returned operations in a linked list, the others by kind."""
        returned = [n for n, op in enumerate(operations) if op.ret != math.inf]
        returned.sort(key=lambda n: operations[n].call)
        never = [n for n, op in enumerate(operations) if op.ret == math.inf]
        never.sort(key=lambda n: operations[n].call)
        count = len(returned)
        self._end, self._start = count, count + 1
        self._next = [*range(1, count + 1), count, 0 if count else count]
        self._prev = [count + 1, *range(count), count]
        self._places = returned
        self._call = [operations[n].call for n in returned]
        self._ret = [operations[n].ret for n in returned]
        self._reads = [
            self._model.read_only(operations[n].input, operations[n].output) for n in returned
        ]
        self._rows = [
            self.transitions.row(operations[n].input, operations[n].output)[1] for n in returned
        ]
        self._lay_out_never_returned(operations, never)

    def _lay_out_never_returned(
        self, operations: Sequence[Operation[I, O]], never: list[int]
    ) -> None:
        kinds: dict[int, list[int]] = {}
        rows: dict[int, dict[int, int]] = {}
        for n in never:
            op = operations[n]
            if not self._model.read_only(op.input, op.output):
                kind, rows[kind] = self.transitions.row(op.input, op.output)
                kinds.setdefault(kind, []).append(n)
        self._kind_places = list(kinds.values())
        self._kind_rows = [rows[kind] for kind in kinds]
        self._kind_calls = [[operations[n].call for n in places] for places in kinds.values()]
        self._kind_used = [0] * len(kinds)
        offset, self._kind_bit = 0, []
        for places in self._kind_places:
            self._kind_bit.append(offset)
            offset += len(places)

    @property
    def entries_bytes(self) -> int:
        return self._cached * _ENTRY_BYTES

    def advance(self, nodes: int) -> bool | None:
        """Visit at most about `nodes` more configurations; what was found, None if nothing yet."""
        while self.found is None and nodes > 0:
            nodes -= 1
            self._read_at_once()
            if self._next[self._start] == self._end:
                self.found = True
                self._deepest = self._linearized()
                break
            moves = self._moves()
            if len(moves) == 1:
                self._make(moves[0])
            elif len(moves) > 1 and self._is_new():
                self._choices.append(
                    _Choice(
                        moves, self._base, self._window, self._state, self._pending,
                        len(self._trail),
                    )
                )
                self._try_next()
            else:
                self._note_dead_end()
                self._try_next()
        return self.found

    def _read_at_once(self) -> None:
        """Linearize every read-only operation that may be next and whose answer fits."""
        nxt, prv, call, ret, reads = self._next, self._prev, self._call, self._ret, self._reads
        rows, end, trail, state = self._rows, self._end, self._trail, self._state
        again = True
        while again:
            again = False
            i = nxt[self._start]
            least = math.inf
            while i != end and call[i] <= least:
                if reads[i]:
                    after = rows[i].get(state)
                    if after is None:
                        after = self._compute(i, state)
                    if after == state:
                        before, behind = prv[i], nxt[i]
                        nxt[before], prv[behind] = behind, before
                        trail.append(i)
                        self._mark(i)
                        again = True
                        i = behind
                        continue
                if ret[i] < least:
                    least = ret[i]
                i = nxt[i]

    def _mark(self, i: int) -> None:
        """Put `i` in the bitset, whose bit 0 is the first operation not linearized."""
        window = self._window | 1 << (i - self._base)
        if window & 1:
            ones = (~window & (window + 1)).bit_length() - 1
            window >>= ones
            self._base += ones
        self._window = window

    def _moves(self) -> list[tuple[int, int]]:
        """What may take effect next, as (operation, state after): the returned ones by
        their place in the list, the others by ~kind."""
        nxt, call, ret, rows, end = self._next, self._call, self._ret, self._rows, self._end
        state = self._state
        moves = []
        i = nxt[self._start]
        least = math.inf
        while i != end and call[i] <= least:
            if ret[i] < least:
                least = ret[i]
            after = rows[i].get(state)
            if after is None:
                after = self._compute(i, state)
            if after >= 0:
                moves.append((i, after))
            i = nxt[i]
        for kind, calls in enumerate(self._kind_calls):
            used = self._kind_used[kind]
            if used < len(calls) and calls[used] <= least:
                after = self._kind_rows[kind].get(state)
                if after is None:
                    after = self._compute_never_returned(kind, state)
                if after >= 0 and after != state:
                    moves.append((~kind, after))
        return moves

    def _compute(self, i: int, state: int) -> int:
        op = self.operations[self._places[i]]
        return self.transitions.step(self._rows[i], state, op.input, op.output)

    def _compute_never_returned(self, kind: int, state: int) -> int:
        op = self.operations[self._kind_places[kind][0]]
        return self.transitions.step(self._kind_rows[kind], state, op.input, op.output)

    def _make(self, move: tuple[int, int]) -> None:
        i, self._state = move
        self._trail.append(i)
        if i >= 0:
            before, behind = self._prev[i], self._next[i]
            self._next[before], self._prev[behind] = behind, before
            self._mark(i)
        else:
            kind = ~i
            self._pending |= 1 << (self._kind_bit[kind] + self._kind_used[kind])
            self._kind_used[kind] += 1

    def _is_new(self) -> bool:
        """Whether this configuration was not refuted before, nor one that could do more."""
        key = (self._base, self._window, self._state)
        refuted = self._cache.get(key)
        pending = self._pending
        if refuted is None:
            self._cache[key] = [pending]
            self._cached += 1
            return True
        for used in refuted:
            if used & pending == used:
                return False
        refuted.append(pending)
        self._cached += 1
        return True

    def _try_next(self) -> None:
        """Go back to the last choice with a way not yet tried, and take it."""
        nxt, prv, trail = self._next, self._prev, self._trail
        while self._choices:
            choice = self._choices[-1]
            while len(trail) > choice.undo:
                i = trail.pop()
                if i >= 0:
                    nxt[prv[i]] = i
                    prv[nxt[i]] = i
                else:
                    self._kind_used[~i] -= 1
            self._base, self._window = choice.base, choice.window
            self._state, self._pending = choice.state, choice.pending
            if choice.tried < len(choice.moves):
                choice.tried += 1
                self._make(choice.moves[choice.tried - 1])
                return
            self._choices.pop()
        self.found = False

    def _linearized(self) -> tuple[int, ...]:
        """The trail as places in `operations`."""
        used = [0] * len(self._kind_places)
        order = []
        for i in self._trail:
            if i >= 0:
                order.append(self._places[i])
            else:
                order.append(self._kind_places[~i][used[~i]])
                used[~i] += 1
        return tuple(order)

    def _note_dead_end(self) -> None:
        """Keep this partial linearization if it is the longest, or its operations' longest."""
        depth = len(self._trail)
        if depth > len(self._deepest):
            self._deepest = self._linearized()
            if self._keep_partials:
                self._keep(self._deepest)
        elif self._keep_partials and depth:
            last = self._trail[-1]
            kept = self._longest[self._places[last]] if last >= 0 else ()
            if kept is None or (last >= 0 and len(kept) < depth):
                self._keep(self._linearized())

    def _keep(self, order: tuple[int, ...]) -> None:
        for n in order:
            kept = self._longest[n]
            if kept is None or len(kept) < len(order):
                self._longest[n] = order

    def longest_partials(self) -> list[tuple[int, ...]]:
        """Longest partial linearizations, the longest first, as places in `operations`:
        the whole linearization if one was found."""
        if self.found:
            return [self._deepest]
        kept = {order: None for order in (self._deepest, *self._longest) if order}
        return sorted(kept, key=len, reverse=True)
