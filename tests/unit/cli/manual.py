"""Creates the manual pages from the commands, by click-man, and the completion scripts."""

from __future__ import annotations

import copy
import inspect
import tempfile
from pathlib import Path

import click
from click.shell_completion import get_completion_class
from click_man.core import write_man_pages

from splitbrain.harness.cli.main import splitbrain

NO_DATE = " "
"""A date would change the pages on every day."""
COMPLETIONS = {"bash": "splitbrain", "zsh": "_splitbrain", "fish": "splitbrain.fish"}
"""Shell → the name under which it looks for the completion script."""


def manual_pages(version: str) -> dict[str, str]:
    """File name → content of each page: `splitbrain.1`, `splitbrain-run.1`, …"""
    with click.Context(splitbrain, info_name="splitbrain") as context:
        command = for_roff(splitbrain, context)
    with tempfile.TemporaryDirectory() as folder:
        write_man_pages(
            "splitbrain", command, version=version, target_dir=folder, date=NO_DATE,
        )  # fmt: skip
        return {path.name: path.read_text() for path in sorted(Path(folder).iterdir())}


def completions() -> dict[str, str]:
    """File name → completion script."""
    found = {}
    for shell, name in COMPLETIONS.items():
        kind = get_completion_class(shell)
        assert kind is not None
        found[name] = kind(splitbrain, {}, "splitbrain", "_SPLITBRAIN_COMPLETE").source() + "\n"
    return found


def for_roff(command: click.Command, context: click.Context) -> click.Command:
    """A copy of `command` and of the commands below it, with texts in the syntax of roff."""
    made = copy.copy(command)
    made.help = roff(command.help or "")
    made.params = [*map(option_for_roff, command.params)]
    if isinstance(command, click.Group) and isinstance(made, click.Group):
        names = command.list_commands(context)
        below = {name: command.get_command(context, name) for name in names}
        made.commands = {
            name: for_roff(one, context) for name, one in below.items() if one is not None
        }
    return made


def option_for_roff(parameter: click.Parameter) -> click.Parameter:
    if not isinstance(parameter, click.Option) or parameter.help is None:
        return parameter
    made = copy.copy(parameter)
    made.help = roff(parameter.help)
    return made


def roff(text: str) -> str:
    """`text` of a command's help as roff: click's mark `\\b` begins a paragraph of fixed lines."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        fixed = paragraph.startswith("\b\n")
        lines = "\n".join(map(escaped, paragraph.removeprefix("\b\n").splitlines()))
        paragraphs.append(f".nf\n{lines}\n.fi" if fixed else lines)
    return "\n\n".join(paragraphs)


def escaped(line: str) -> str:
    """`line` without the meaning that roff gives to backslashes and to a first `.` or `'`."""
    line = line.replace("\\", "\\e")
    return f"\\&{line}" if line.lstrip().startswith((".", "'")) else line
