"""Run folders that are removed when the run is over."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splitbrain.harness.store.run_folder import RunFolder

_MEMORY = "/dev/shm"

in_use: list[Path] = []
"""The temporary folders of this process, for a signal handler that ends it at once."""


@contextmanager
def temporary_run_folder() -> Iterator[RunFolder]:
    """A folder for the files of a run that are read once and removed.

    The folder is in memory, if the machine has a file system there and TMPDIR is not set.
    """
    with tempfile.TemporaryDirectory(prefix="splitbrain-", dir=_parent()) as folder:
        path = Path(folder)
        in_use.append(path)
        try:
            yield RunFolder(path)
        finally:
            in_use.remove(path)


def _parent() -> str | None:
    return _MEMORY if Path(_MEMORY).is_dir() and "TMPDIR" not in os.environ else None
