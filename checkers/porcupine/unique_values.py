"""Decides registers in O(n log n) if no value is written twice.

The value that an operation *meets* is the value of the register just before the operation takes
effect. Each operation shows the value that it met, or writes a value, or both. It does both if it
is a compare-and-swap that succeeded, or a write whose answer contains the previous value.

Because values are unique, each value that was met identifies its writer. So these operations form a
block in the sense of `porcupine/blocks.py`: a write, the reads of its value, and the one operation
that met this value and wrote the next one. No other write can be between them. If two operations
met the same value and each of them wrote a value, the history is illegal.

An operation X that never returned may be left out of the linearization, unless it certainly
happened. X certainly happened if an operation that certainly happened met the value that X wrote.
Then the writer of the value that X met has certainly happened, too.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from splitbrain.checkers.porcupine.blocks import ILLEGAL, Block, Decision, decide_blocks


class _Nothing:
    """The type of the constant NOTHING, which means "no value". None, in contrast, is a value."""


NOTHING = _Nothing()


def decide_register(
    met: Sequence[Hashable],
    wrote: Sequence[Hashable],
    calls: Sequence[float],
    rets: Sequence[float],
    initial: Hashable,
) -> Decision | None:
    """Decide whether the operations are those of one register that starts at `initial`.

    When the n-th operation took effect, the register had the value `met[n]`, and the operation
    wrote `wrote[n]`. In `met`, NOTHING means that the value is unknown. In `wrote`, NOTHING means
    that the operation wrote no value. Returns None (undecided) if a value is written twice, or if
    `initial` is written.
    """
    writer: dict[Hashable, int] = {}
    unending = False
    for n, value in enumerate(wrote):
        if value is not NOTHING:
            if value in writer or value == initial:
                return None
            writer[value] = n
            unending = unending or rets[n] == math.inf
    happened = certain_operations(met, writer, rets) if unending else None
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
        return ILLEGAL  # an operation found a value that is in no block: never written, or cyclic
    return decide_blocks(blocks, calls, rets, starting=True)


def certain_operations(
    met: Sequence[Hashable], writer: dict[Hashable, int], rets: Sequence[float]
) -> set[int]:
    """Return the operations that certainly happened, as indexes.

    `met[n]` is the value that the register had just before the n-th operation, and `writer` maps
    each value to the operation that wrote it. The operations that returned have happened. The
    writers of the values that they met have also happened, and so on.
    """
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
    """Return the block that begins with the write of `value`.

    `written` contains the index of this write. If an operation found `value` in the register and
    wrote another value, as a compare-and-set does, the block continues with that value, and so on.
    The function removes the operations of the block from `readers` and `next_writer`.
    """
    block = [written, readers.pop(value, [])]
    following = next_writer.pop(value, None)
    while following is not None:
        value = wrote[following]
        block += ([following], readers.pop(value, []))
        following = next_writer.pop(value, None)
    return block
