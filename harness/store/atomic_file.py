"""Writes a file completely or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON to `path`. A reader never sees a partly written file."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`. A reader sees either the old content or the new content."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
