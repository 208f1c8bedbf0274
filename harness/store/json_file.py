"""Writes a JSON file completely or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON to `path`. A reader never sees a part of it."""
    data = msgspec.json.format(msgspec.json.encode(value), indent=2)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    aside = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data + b"\n")
        aside.chmod(0o644)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
