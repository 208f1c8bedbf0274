"""Makes temporary folders for runs, which are removed when the run has been judged."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splitbrain.harness.store.run_folder import RunFolder

_MEMORY = "/dev/shm"

in_use: list[Path] = []
"""The temporary folders of this process. If a signal ends the process, the signal handler removes
them."""


@contextmanager
def temporary_run_folder() -> Iterator[RunFolder]:
    """Make a new folder for a run, and remove it at the end of the context.

    The folder is in memory (/dev/shm) if the machine has that file system and TMPDIR is not set.
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
