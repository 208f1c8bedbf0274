"""Finds out which stores of the examples are installed on this machine."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Example:
    """An example: the `program` of its store, and the command that installs the store."""

    folder: Path
    program: str
    """The name of a program on the PATH, or the path of a file, in which * is any text."""
    install: str

    @property
    def installed(self) -> bool:
        if "/" not in self.program:
            return shutil.which(self.program) is not None
        return any(Path("/").glob(self.program.lstrip("/")))


def examples() -> list[Example]:
    """Return the examples whose store must be installed, in the order of their names."""
    read = [(path.parent, tomllib.loads(path.read_text())) for path in HERE.glob("*/finds.toml")]
    return sorted(
        (
            Example(folder, text["program"], text["install"])
            for folder, text in read if "program" in text
        ),
        key=lambda one: one.folder,
    )
