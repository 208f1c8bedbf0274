"""Reads the JSON files of the folder of a run. An error names the file and the reason."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from splitbrain.harness.errors import BadArguments

T = TypeVar("T")


class _Format(msgspec.Struct):
    format: int = 0


def read_bytes(file: Path, what: str) -> bytes:
    """Return the content of `file`. Raises BadArguments if it cannot be read.

    `what` describes the content for the error message, such as "schedule".
    """
    try:
        return file.read_bytes()
    except OSError as problem:
        raise BadArguments(
            f"no {what}: {file} cannot be read ({problem.strerror}). Expected the folder of a "
            "run, such as store/latest, or a file in it"
        ) from problem


def check_format(file: Path, data: bytes, expected: int) -> None:
    """Raise BadArguments unless the JSON object `data` has `expected` in its field `format`."""
    found = decode(file, data, _Format, "a JSON object with a format").format
    if found != expected:
        raise BadArguments(
            f"{file} has format {found}; this Splitbrain reads format {expected}. Use the "
            "version that wrote it"
        )


def decode(file: Path, data: bytes, kind: type[T], what: str) -> T:
    """Decode the JSON `data` of `file` to the type `kind`. Raises BadArguments if it does not fit.

    `what` describes the content for the error message.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as problem:
        raise BadArguments(f"{file} is not {what}: {problem}") from problem
