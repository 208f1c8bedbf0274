"""Keeps worker processes from importing modules of the working directory by accident."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

SAFE_PATH = "PYTHONSAFEPATH"


@contextmanager
def safe_path() -> Iterator[None]:
    """Keep the working directory out of the module path of processes that the context starts.

    multiprocessing starts its servers and workers with `python -c`. Without this context, these
    processes would import a user's `struct.py` in place of the module of the standard library.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(SAFE_PATH, None)
        else:
            os.environ[SAFE_PATH] = before
