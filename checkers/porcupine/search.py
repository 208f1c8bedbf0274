"""Searches for a linearization of one partition.

The algorithm is Wing and Gong's search with Lowe's cache of refuted configurations. A
*configuration* is the set of linearized operations together with the state. The search repeatedly
chooses the next operation to take effect, among the operations that were called before the first
return of an operation that is not yet linearized. If no operation fits, the search backtracks. The
operations are in a doubly linked list in the order of their calls. A linearized operation is
removed from the list, and backtracking inserts it again.

Seven rules keep the search small. None of them changes a result:

- *Small cache keys.* All operations that were called before the first one in the list are
  linearized. So a key contains this first operation, a bitset of the linearized operations after
  it, and the state. The size of the key does not grow with the history.
- *Reads are free.* An operation that changes no state, and whose answer fits the present state, is
  linearized at once. If a linearization places the operation later, the operation can be moved
  here, because it affects no other operation.
- *The most urgent of equal operations.* If several possible operations have equal input and
  output, only the one that returns first is tried. If a linearization has another one of them at
  this position, the two can be exchanged. So objects with few kinds of operations (the increments
  of a counter, one element of a set) are decided in polynomial time.
- *Operations that never returned* may be left out. They are not in the list or the bitset.
  Those with equal input are interchangeable, so the one called first is used first. An operation
  that would not change the state is not used. Nor is an operation X if the next operation gives the
  same state with X and without X. For example, a write X that is overwritten before any read can be
  left out. A configuration needs no search if it was already refuted with the same or fewer of
  these operations used.
- *No cache entry without a choice.* A configuration with only one possible operation is not
  cached, and backtracking does not stop there.
- *Only operations that depend on the most urgent one.* Let U be the operation that returns first.
  Only operations that were called before U returns can take effect before U. Of these, the search
  tries those that touch the same part of the state as U, directly or through other operations. All
  others commute with them, so they can be placed later. This needs `Model.touches`.
- *Urgent operations first.* The possible operation that returns first is tried first, because it
  blocks all operations that are called later.

Sources: Wing and Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for
linearizability" (2017); Horn and Kroening, "Faster linearizability checking via P-compositionality"
(2015).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from time import monotonic
from typing import Generic

from splitbrain.checkers.porcupine.model import I, Model, O, Operation, S
from splitbrain.checkers.porcupine.states import Kind, Transitions

_ENTRY_BYTES = 240
"""The memory of a cached configuration in CPython: the key, the bitset and the dict entry."""
_NEVER = math.nan
"""The call of a missing operation. No comparison with this value is true, so a missing operation
is never called before a return."""
_TRANSITIONS_MAX = 20_000
"""`advance` pauses after this number of new transitions, because states may be large."""

_NODES_PER_LOOK = 8
"""`advance` reads the clock once per this number of configurations."""
_COPIED_MAX = 1_000_000
"""The maximal total length of the partial linearizations that are kept, except the longest."""

class _Choice:
    """A configuration of the search with several operations that can take effect next.

    `moves` contains those that are not yet tried. The last of them is tried next.
    """

    __slots__ = ("base", "moves", "pending", "state", "undo", "window")

    def __init__(
        self, moves: list[tuple[float, int, int]], base: int, window: int, state: int,
        pending: int, undo: int,
    ) -> None:
        self.moves = moves
        self.base = base
        self.window = window
        self.state = state
        self.pending = pending
        self.undo = undo


class Search(Generic[S, I, O]):
    """A search that can be continued: call `advance` until `found` is not None.

    Operations are identified by their index in `operations`. `held_bytes` estimates the memory of
    the caches, and `visited` counts configurations.
    """

    def __init__(
        self,
        model: Model[S, I, O],
        operations: Sequence[Operation[I, O]],
        keep_partials: bool = False,
    ) -> None:
        self.operations = operations
        self.found: bool | None = None
        self.visited = 0
        self._transitions = Transitions(model)
        self._has_parts = model.touches is not None
        self._keep_partials = keep_partials
        self._longest: dict[int, tuple[int, ...]] = {}
        self._copied = 0
        # The longest trail so far consists of two parts: the part that is still in the trail, and
        # the operations that were undone since then. The operation that was undone last is first.
        self._deepest = 0
        self._deepest_left = 0
        self._deepest_undone: list[int] = []
        self._cached = 0
        self._windows_bytes = 0
        self._lay_out(operations)
        self._cache: dict[tuple[int, int, int], list[int]] = {}
        self._choices: list[_Choice] = []
        self._trail: list[int] = []
        self._base = 0
        self._window = 0
        self._state: int = self._transitions.first
        self._pending = 0
        self._before: int = self._state
        """The state before the last move, if the move was an operation that never returned."""

    def _lay_out(self, operations: Sequence[Operation[I, O]]) -> None:
        """Put the operations that returned in a linked list, and group the others by kind."""
        calls = [op.call for op in operations]
        rets = [op.ret for op in operations]
        in_order = sorted(range(len(operations)), key=calls.__getitem__)
        places = [n for n in in_order if rets[n] != math.inf]
        self._places = places
        count = len(places)
        self._end, self._start = count, count + 1
        self._next: list[int] = [*range(1, count + 1), count, 0]
        self._prev: list[int] = [count + 1, *range(count), count]
        self._call = [*map(calls.__getitem__, places), _NEVER]
        self._ret = [*map(rets.__getitem__, places)]
        kinds = self._transitions.kinds(operations)
        self._kinds = [*map(kinds.__getitem__, places)]
        self._rows = [one.row for one in self._kinds]
        self._never_kinds: list[Kind[I, O]] = []
        self._never_calls: list[list[float]] = []
        self._never_next: list[float] = []
        """For each kind, the call of the next operation to use."""
        self._never_used: list[int] = []
        self._never_first: list[float] = []
        """For each kind, the call of its first operation. The kinds are in this order."""
        self._never_changes: dict[int, list[tuple[int, int]]] = {}
        """State → the kinds that change it, with the next state. See `_never_returned`."""
        self._never_seen: dict[int, int] = {}
        """State → the number of kinds that `_never_changes` covers."""
        self._never_bit: list[int] = []
        self._never_places: list[list[int]] = []
        if count < len(operations):
            never = [n for n in in_order if rets[n] == math.inf]
            self._lay_out_never_returned(never, kinds, calls)

    def _lay_out_never_returned(
        self, never: Sequence[int], kinds: Sequence[Kind[I, O]], calls: Sequence[float]
    ) -> None:
        """Group the operations `never`, which never returned, by kind: by equal input.

        They are in the order of their calls. `kinds[n]` is the kind of operation n.
        """
        by_kind: dict[int, tuple[Kind[I, O], list[int]]] = {}
        for n in never:
            kind = kinds[n]
            if not kind.reads:
                by_kind.setdefault(id(kind), (kind, []))[1].append(n)
        offset = 0
        for kind, places in by_kind.values():
            self._never_kinds.append(kind)
            self._never_places.append(places)
            self._never_calls.append([*(calls[n] for n in places), _NEVER])
            self._never_first.append(calls[places[0]])
            self._never_next.append(calls[places[0]])
            self._never_used.append(0)
            self._never_bit.append(offset)
            offset += len(places)

    @property
    def held_bytes(self) -> int:
        return self._cached * _ENTRY_BYTES + self._windows_bytes + self._transitions.held_bytes

    def forget(self) -> None:
        """Drop the data that only a continued search needs."""
        self._cache.clear()
        self._choices.clear()
        self._transitions.forget()
        self._cached = self._windows_bytes = 0

    def advance(self, nodes: int, until: float = math.inf) -> bool | None:
        """Visit about `nodes` more configurations, at least one. Returns `found`.

        A configuration is the set of operations that are linearized so far, with the state. `found`
        is None if the search has not decided yet. The method stops early at `until`, a time of
        `time.monotonic`.
        """
        transitions = self._transitions
        pause = transitions.computed + _TRANSITIONS_MAX
        nxt, start, end, trail = self._next, self._start, self._end, self._trail
        left = nodes
        while self.found is None and left > 0 and transitions.computed < pause:
            left -= 1
            moves = self._moves()
            if nxt[start] == end:
                self.found = True
            elif len(moves) == 1:
                self._make(moves[0])
            elif moves and self._is_new():
                moves.sort(reverse=True)
                choice = _Choice(
                    moves, self._base, self._window, self._state, self._pending, len(trail)
                )
                self._choices.append(choice)
                self._make(moves.pop())
            else:
                if self._keep_partials:
                    self._note_dead_end()
                self._go_back()
            if not left % _NODES_PER_LOOK and monotonic() > until:
                break
        self.visited += nodes - left
        return self.found

    def _moves(self) -> list[tuple[float, int, int]]:
        """Linearize all reads that fit the state, and return the operations that can be next.

        Each is a tuple (return time, operation, next state), called a move. An operation that
        returned is represented by its index in the list. An operation that never returned is
        represented by `~kind`, the bitwise complement of the number of its kind.
        """
        nxt, call, ret, rows, kinds = self._next, self._call, self._ret, self._rows, self._kinds
        state = self._state
        done = len(self._trail)
        optional = done > 0 and self._trail[-1] < 0
        moves: list[tuple[float, int, int]] = []
        common: dict[int, int] = {}
        least = math.inf
        i = nxt[self._start]
        while call[i] <= least:
            after = rows[i].get(state)
            if after is None:
                after = self._transitions.step(kinds[i], state)
            ends = ret[i]
            if after >= 0:
                kind = kinds[i]
                if after == state and kind.reads:
                    i = self._linearize(i)
                    continue
                if kind.common:
                    place = common.setdefault(id(kind), len(moves))
                    if place == len(moves):
                        moves.append((ends, i, after))
                    elif ends < moves[place][0]:
                        moves[place] = (ends, i, after)
                else:
                    moves.append((ends, i, after))
            if ends < least:
                least = ends
            i = nxt[i]
        if self._never_kinds:
            self._never_returned(moves, common, least)
            if optional and len(self._trail) == done:
                before = self._before
                moves = [move for move in moves if self._after(move[1], before) != move[2]]
        return self._dependent(moves, least) if self._has_parts else moves

    def _dependent(
        self, moves: list[tuple[float, int, int]], least: float
    ) -> list[tuple[float, int, int]]:
        """Return the moves that depend on the operation that returns first, at the time `least`.

        Two operations are connected if they touch the same part of the state. They depend on each
        other if they are connected directly, or by a chain of connected operations. The chain may
        contain each operation that was called by `least`, even if the present state does not allow
        this operation.
        """
        nxt, call, kinds = self._next, self._call, self._kinds
        parts = 0
        others: list[int] = []
        i = nxt[self._start]
        while call[i] <= least:
            if self._ret[i] == least:
                parts |= kinds[i].touches
            else:
                others.append(kinds[i].touches)
            i = nxt[i]
        others += [
            kind.touches
            for kind, next_call in zip(self._never_kinds, self._never_next, strict=True)
            if next_call <= least
        ]
        connected = True
        while connected:
            before = parts
            for touches in others:
                if touches & parts:
                    parts |= touches
            connected = parts != before
        return [move for move in moves if self._kind_of(move[1]).touches & parts]

    def _kind_of(self, i: int) -> Kind[I, O]:
        return self._kinds[i] if i >= 0 else self._never_kinds[~i]

    def _after(self, i: int, state: int) -> int:
        kind = self._kind_of(i)
        after = kind.row.get(state)
        return self._transitions.step(kind, state) if after is None else after

    def _never_returned(
        self, moves: list[tuple[float, int, int]], common: dict[int, int], least: float
    ) -> None:
        """Add to `moves` the operations that never returned and can be next in the present state.

        An operation is added if it was called by `least`, the first return of the other operations,
        and if it changes the state. If an equal operation is in `moves` already (`common`), it is
        not added. For each state, the kinds of operations that change it are computed once.
        """
        state, kinds, calls = self._state, self._never_kinds, self._never_next
        called = bisect_right(self._never_first, least)
        seen = self._never_seen.get(state, 0)
        changes = self._never_changes.setdefault(state, [])
        if seen < called:
            self._never_seen[state] = called
            for place in range(seen, called):
                after = self._after(~place, state)
                if after >= 0 and after != state:
                    changes.append((place, after))
        for place, after in changes:
            # An equal operation that returned is more urgent than one that never returned.
            if calls[place] <= least and id(kinds[place]) not in common:
                moves.append((math.inf, ~place, after))

    def _linearize(self, i: int) -> int:
        """Move the operation `i` from the list of open operations to the trail and to the bitset.

        Returns the operation after it in the list.
        """
        before, behind = self._prev[i], self._next[i]
        self._next[before], self._prev[behind] = behind, before
        self._trail.append(i)
        # Bit 0 of the bitset is the first operation that is not linearized.
        window = self._window | 1 << (i - self._base)
        if window & 1:
            ones = (~window & (window + 1)).bit_length() - 1
            window >>= ones
            self._base += ones
        self._window = window
        return behind

    def _make(self, move: tuple[float, int, int]) -> None:
        before = self._state
        _, i, self._state = move
        if i >= 0:
            self._linearize(i)
        else:
            self._before = before
            self._trail.append(i)
            place = ~i
            used = self._never_used[place]
            self._pending |= 1 << (self._never_bit[place] + used)
            self._never_used[place] = used + 1
            self._never_next[place] = self._never_calls[place][used + 1]

    def _is_new(self) -> bool:
        """Return whether the present configuration still needs a search, and mark it as searched.

        It needs none if the same configuration was refuted before, with the same operations that
        never returned, or with fewer of them.
        """
        key = (self._base, self._window, self._state)
        refuted = self._cache.get(key)
        pending = self._pending
        if refuted is None:
            self._cache[key] = [pending]
        else:
            for used in refuted:
                if used & pending == used:
                    return False
            refuted.append(pending)
        self._cached += 1
        self._windows_bytes += (self._window.bit_length() + pending.bit_length()) >> 3
        return True

    def _go_back(self) -> None:
        """Return to the last choice that has an untried operation, and linearize this operation."""
        nxt, prv, trail = self._next, self._prev, self._trail
        while self._choices:
            choice = self._choices[-1]
            while len(trail) > choice.undo:
                i = trail.pop()
                if len(trail) < self._deepest_left:
                    self._deepest_undone.append(i)
                    self._deepest_left -= 1
                if i >= 0:
                    nxt[prv[i]] = i
                    prv[nxt[i]] = i
                else:
                    place = ~i
                    used = self._never_used[place] - 1
                    self._never_used[place] = used
                    self._never_next[place] = self._never_calls[place][used]
            if choice.moves:
                self._base, self._window = choice.base, choice.window
                self._state, self._pending = choice.state, choice.pending
                self._make(choice.moves.pop())
                return
            self._choices.pop()
        self.found = False

    def _linearized(self, trail: Sequence[int]) -> tuple[int, ...]:
        """Convert `trail`, the operations in the order in which they were linearized, to indexes.

        The result contains indexes in `operations`.
        """
        used = [0] * len(self._never_places)
        order = []
        for i in trail:
            if i >= 0:
                order.append(self._places[i])
            else:
                order.append(self._never_places[~i][used[~i]])
                used[~i] += 1
        return tuple(order)

    def _note_dead_end(self) -> None:
        """Keep the present trail if it is the longest of all partial linearizations so far.

        Let X be the last operation of the trail. The trail is also kept if it is the longest one so
        far that ends with X.
        """
        trail = self._trail
        depth = len(trail)
        if depth > self._deepest:
            self._deepest = self._deepest_left = depth
            self._deepest_undone.clear()
        if depth and trail[-1] >= 0 and self._copied < _COPIED_MAX:
            last = self._places[trail[-1]]
            kept = self._longest.get(last)
            if kept is None or len(kept) < depth:
                self._copied += depth
                self._longest[last] = self._linearized(trail)

    def longest_partials(self) -> list[tuple[int, ...]]:
        """Return the longest partial linearizations as indexes in `operations`, longest first.

        If a linearization was found, it is the only element. Otherwise the first element is the
        longest partial linearization. Each further element belongs to one operation X: it is the
        longest partial linearization that ends with X. Some operations have no such element. The
        result is empty if the search was created without `keep_partials`.
        """
        if not self._keep_partials:
            return []
        if self.found:
            return [self._linearized(self._trail)]
        undone = reversed(self._deepest_undone)
        deepest = self._linearized([*self._trail[: self._deepest_left], *undone])
        kept = {order: None for order in (deepest, *self._longest.values()) if order}
        return sorted(kept, key=len, reverse=True)
