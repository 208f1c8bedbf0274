"""Pauses Python's garbage collector while millions of values are created."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Disable the cyclic garbage collector inside the block.

    Otherwise the collector would traverse all the values again and again, although they all stay in
    use. Reference counting still frees values that are not used any more.

    At the end of the block, all values are moved to the oldest generation. The collector therefore
    does not traverse them as soon as it is enabled again, but at its next full collection.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            _age_all_values()
            gc.enable()


def freeze_all_values() -> None:
    """Exclude all present values from garbage collection, for the rest of the process."""
    gc.collect()
    gc.freeze()
    _has_frozen_values()


def _age_all_values() -> None:
    """Move all values to the oldest generation, without traversing them.

    Does nothing if other code has frozen values, because `gc.unfreeze` would thaw these, too.
    """
    if not _known_to_be_frozen and not _has_frozen_values():
        gc.freeze()
        gc.unfreeze()


_known_to_be_frozen: list[bool] = []
"""Contains True if values were frozen. Counting them again and again would be slow, because the
count visits each of them."""


def _has_frozen_values() -> bool:
    found = gc.get_freeze_count() > 0
    if found:
        _known_to_be_frozen.append(True)
    return found
