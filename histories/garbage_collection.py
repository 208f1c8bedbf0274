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
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
