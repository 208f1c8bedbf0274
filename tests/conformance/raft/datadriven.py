"""Reads files of datadriven tests: a command, its input, `----`, and the expected output.

Source: the format of cockroachdb/datadriven.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SEPARATOR = "----"
_ARGUMENT = re.compile(r"([^\s=]+)(?:=(\([^)]*\)|\S*))?")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: a word, or a key with values."""

    key: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a file. `line` is the number of its first line."""

    line: int
    name: str
    arguments: tuple[Argument, ...]
    input: str
    expected: str

    def words(self) -> tuple[str, ...]:
        """The arguments that have no value."""
        return tuple(one.key for one in self.arguments if not one.values)

    def values(self, key: str) -> tuple[str, ...]:
        return tuple(v for one in self.arguments if one.key == key for v in one.values)


class Malformed(ValueError):
    """A file does not have the expected format. The message contains the line."""


def read_commands(path: Path) -> list[Command]:
    """Return the commands of a file. Raises Malformed, OSError."""
    return list(_commands(path.read_text(encoding="utf-8").split("\n")))


def _commands(lines: Sequence[str]) -> Iterator[Command]:
    at = 0
    while at < len(lines):
        first = at
        directive = lines[at].strip()
        at += 1
        if not directive or directive.startswith("#") or directive.split()[0] == "subtest":
            continue
        while directive.endswith("\\") and at < len(lines):
            directive = directive[:-1].rstrip() + " " + lines[at].strip()
            at += 1
        given, at = _input(lines, at)
        expected, at = _expected(lines, at)
        name, _, rest = directive.partition(" ")
        yield Command(first + 1, name, _arguments(rest), given, expected)


def _input(lines: Sequence[str], at: int) -> tuple[str, int]:
    begin = at
    while at < len(lines) and lines[at] != SEPARATOR:
        at += 1
    if at == len(lines):
        raise Malformed(f"line {begin}: no {SEPARATOR} follows the command")
    return "\n".join(lines[begin:at]), at + 1


def _expected(lines: Sequence[str], at: int) -> tuple[str, int]:
    """The output ends at a blank line; after two separators, it ends at two more."""
    begin = at
    if lines[at : at + 1] == [SEPARATOR]:
        begin = at = at + 1
        while lines[at : at + 2] != [SEPARATOR, SEPARATOR]:
            at += 1
            if at >= len(lines):
                raise Malformed(f"line {begin}: the output does not end with two {SEPARATOR}")
        return "\n".join(lines[begin:at]), at + 2
    while at < len(lines) and lines[at].strip():
        at += 1
    return "\n".join(lines[begin:at]), at


def _arguments(text: str) -> tuple[Argument, ...]:
    found = []
    for key, value in _ARGUMENT.findall(text):
        if value.startswith("("):
            values = tuple(re.split(r"[\s,]+", value[1:-1].strip()))
        else:
            values = (value,) if value else ()
        found.append(Argument(key, values))
    return tuple(found)
