"""Packs the folder of a run into an archive, to copy it from a worker on another machine."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

BYTES_MAX = 256 * 1024 * 1024
"""The maximal size of an archive, in bytes."""


def pack(folder: Path) -> bytes | None:
    """Pack the folder of a run, whose path is TEST/RUN in the archive.

    Returns None if the archive would be too large.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                archive.add(path, f"{folder.parent.name}/{folder.name}/{path.relative_to(folder)}")
            if buffer.tell() > BYTES_MAX:
                return None
    return buffer.getvalue()


def unpack(archive: bytes, store: Path) -> Path:
    """Unpack the folder of a run into `store`, and return its path. No other file is written."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as packed:
        members = packed.getmembers()
        packed.extractall(store, members, filter="data")
    test, run, *_ = Path(members[0].name).parts
    return store / test / run
