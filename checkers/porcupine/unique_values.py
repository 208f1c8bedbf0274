"""Registers into which no value is written twice: decided in O(n log n).

Each operation met a value, wrote one, or both (a compare-and-swap that succeeded, a
write that was told the value before). A value met names its writer, so that a write,
its readers, and the one operation that met it and wrote the next are a block in the
sense of `splitbrain.checkers.porcupine.blocks`: between them nothing else was written. Two
operations that both met one value and wrote another cannot be.

An operation that never returned may be left out unless its value was met by one that
must have happened; then it happened too, and what it met itself counts.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from splitbrain.checkers.porcupine.blocks import ILLEGAL, Block, Decision, decide_blocks


class _Nothing:
    """No value: not even None."""


NOTHING = _Nothing()


def decide_register(
    met: Sequence[Hashable],
    wrote: Sequence[Hashable],
    calls: Sequence[float],
    rets: Sequence[float],
    initial: Hashable,
) -> Decision | None:
    """Whether operations are those of one register that starts at `initial`.

    The n-th met `met[n]` (NOTHING: any value), and wrote `wrote[n]` (NOTHING: none).
    None: not decided, because a value is written twice, or the initial one again.
    """
    writer: dict[Hashable, int] = {}
    unending = False
    for n, value in enumerate(wrote):
        if value is not NOTHING:
            if value in writer or value == initial:
                return None
            writer[value] = n
            unending = unending or rets[n] == math.inf
    happened = that_happened(met, writer, rets) if unending else None
    readers: dict[Hashable, list[int]] = {}
    next_writer: dict[Hashable, int] = {}
    for n, value in enumerate(met):
        if value is NOTHING or (happened is not None and n not in happened):
            continue
        if wrote[n] is NOTHING:
            readers.setdefault(value, []).append(n)
        elif value in next_writer:
            return ILLEGAL
        else:
            next_writer[value] = n
    starts = [
        value
        for value, n in writer.items()
        if met[n] is NOTHING and (happened is None or n in happened)
    ]
    blocks: list[Block] = [_block(initial, [], wrote, readers, next_writer)]
    blocks.extend(_block(value, [writer[value]], wrote, readers, next_writer) for value in starts)
    if readers or next_writer:
        return ILLEGAL  # met, but in no block: never written, or in a circle
    return decide_blocks(blocks, calls, rets, starting=True)


def that_happened(
    met: Sequence[Hashable], writer: dict[Hashable, int], rets: Sequence[float]
) -> set[int]:
    """The operations that returned, and those whose values these met, and so on."""
    happened = {n for n, ret in enumerate(rets) if ret != math.inf}
    open_values = [met[n] for n in happened]
    while open_values:
        made_by = writer.get(open_values.pop())
        if made_by is not None and made_by not in happened:
            happened.add(made_by)
            open_values.append(met[made_by])
    return happened


def _block(
    value: Hashable,
    written: list[int],
    wrote: Sequence[Hashable],
    readers: dict[Hashable, list[int]],
    next_writer: dict[Hashable, int],
) -> Block:
    """From `value` on as long as each value was met by who wrote the next; takes what is
    in it out of `readers` and `next_writer`."""
    block = [written, readers.pop(value, [])]
    following = next_writer.pop(value, None)
    while following is not None:
        value = wrote[following]
        block += ([following], readers.pop(value, []))
        following = next_writer.pop(value, None)
    return block
