"""Reorders the operations on a key, so that the key exists at each delete that found it.

The answer `deleted: 1` of a delete shows that the key existed, but does not show its value. The
algorithm that orders operations by sorting (`porcupine/unique_values_with_deletes.py`) ignores this
answer. In its order, the delete may therefore be at a place where the key is absent.
`place_deletes` repairs the order by moves that change no other answer:

- The delete moves to a place where the key exists and the next operation is a write whose answer
  does not depend on the state.
- Otherwise a put whose value appears in no answer moves to the place before the delete.

If neither move is possible, the result is None, and the caller must search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

STEPS_MAX = 20_000_000
"""The maximum for the number of deletes times the number of operations of one key. Above it,
`place_deletes` returns None."""

Step = Callable[[int, Any], tuple[bool, Any]]


def place_deletes(
    order: Sequence[int],
    deletes: Sequence[int],
    puts: set[int],
    blind: set[int],
    step: Step,
    calls: Sequence[float],
    rets: Sequence[float],
) -> list[int] | None:
    """Return a changed `order`: a linearization in which each of `deletes` finds the key.

    Returns None if no such linearization was found. Operations are numbers. `puts` are the puts,
    and `blind` the writes whose answers fit every state. `step(n, state)` applies operation n. It
    returns whether the answer fits, and the new state. `calls[n]` and `rets[n]` are the times of
    operation n.
    """
    found = list(order)
    if len(deletes) * len(found) > STEPS_MAX:
        return None
    spare = [n for n in puts if n in blind and n not in set(order)]
    for delete in deletes:
        if delete not in found:
            continue
        states = _states(found, step)
        place = found.index(delete)
        if states[place] is not None:
            continue
        moved = _moved(found, states, place, blind, calls, rets) or _filled(
            found, place, spare, puts & blind, blind, calls, rets
        )
        if moved is None:
            return None
        found = moved
    return found if _is_linearization(found, step, calls, rets) else None


def _states(order: Sequence[int], step: Step) -> list[Any]:
    """Return the state of the register before each operation in `order`, and after the last one.

    `step(n, state)` applies operation n.
    """
    state: Any = None
    states = []
    for n in order:
        states.append(state)
        state = step(n, state)[1]
    return [*states, state]


def _moved(
    order: list[int], states: list[Any], place: int, blind: set[int], calls: Sequence[float],
    rets: Sequence[float],
) -> list[int] | None:
    """Return `order` with the delete at `place` moved to a place where the key exists.

    `states[n]` is the state of the register before place n. The operation that follows the delete
    at its new place must be in `blind`: its answer fits every state. Returns None if there is no
    such place.
    """
    delete = order[place]
    earliest, latest = _window(order, place, calls, rets)
    for at in range(earliest, latest + 1):
        if states[at] is None or at in (place, place + 1):
            continue
        if at == len(order) or order[at] in blind:
            rest = [n for n in order if n != delete]
            target = at - (at > place)
            return [*rest[:target], delete, *rest[target:]]
    return None


def _filled(
    order: list[int], place: int, spare: list[int], puts: set[int], blind: set[int],
    calls: Sequence[float], rets: Sequence[float],
) -> list[int] | None:
    """Return `order` with a put inserted just before the delete at `place`, so that the key exists.

    The put comes from another place in `order` where no operation depends on its value, or from
    `spare`, the puts that are not in `order`. A put that is used is removed from `spare`. Returns
    None if no put can take effect there.
    """
    for at, n in enumerate(order):
        unread = n in puts and (at + 1 == len(order) or order[at + 1] in blind)
        if not unread or (at + 1 < len(order) and at + 1 == place):
            continue
        earliest, latest = _window(order, at, calls, rets)
        if earliest <= place <= latest:
            rest = [one for one in order if one != n]
            target = place - (at < place)
            return [*rest[:target], n, *rest[target:]]
    for n in spare:
        if all(rets[later] >= calls[n] for later in order[place:]):
            spare.remove(n)
            return [*order[:place], n, *order[place:]]
    return None


def _window(
    order: Sequence[int], place: int, calls: Sequence[float], rets: Sequence[float]
) -> tuple[int, int]:
    """Return the first and the last place to which the operation at `place` may move in `order`.

    The times `calls` and `rets` of the operations bound the move. Moving an operation to place n
    means moving it to just before the operation that is now at n.
    """
    n = order[place]
    earliest = place
    while earliest and rets[order[earliest - 1]] >= calls[n]:
        earliest -= 1
    latest = place + 1
    while latest < len(order) and calls[order[latest]] <= rets[n]:
        latest += 1
    return earliest, latest


def _is_linearization(
    order: Sequence[int], step: Step, calls: Sequence[float], rets: Sequence[float]
) -> bool:
    state: Any = None
    latest = -math.inf
    for n in order:
        latest = max(latest, calls[n])
        fits, state = step(n, state)
        if not fits or rets[n] < latest:
            return False
    return True
