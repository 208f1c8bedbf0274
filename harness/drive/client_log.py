"""Writes the log messages of a user's client and its libraries to a file of the run.

Without this log handler, Python would print the warnings of libraries to stderr, in the middle of
the output of `splitbrain`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

FILE_BYTES_MAX = 10_000_000
"""A file that is longer is renamed to `clients.log.1`, which replaces an older file."""


@contextlib.contextmanager
def client_log(file: Path) -> Iterator[None]:
    """Append the warnings and errors that this process logs to `file`, inside the context.

    The first of them creates the file. Log handlers that the caller has added are kept.
    """
    handler = RotatingFileHandler(file, maxBytes=FILE_BYTES_MAX, backupCount=1, delay=True)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
