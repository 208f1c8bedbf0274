"""The reference, the manual pages and the completions are those of the command line.

`SPLITBRAIN_REWRITE=1 python -m pytest tests/unit/cli/test_reference.py` renews them. Review the
difference.
"""

import os
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from splitbrain.harness.cli.main import COMMANDS, splitbrain
from splitbrain.harness.known_bugs.catalogue import known_bugs
from splitbrain.harness.known_bugs.known_bug import KnownBug
from splitbrain.node.__main__ import main as member
from tests.unit.cli.manual import completions, manual_pages

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
INSTALLED = REFERENCE.parent / "installed"
COLUMNS = 90


def help_of(command: click.Command, name: str, *words: str) -> str:
    arguments = [*words, "--help"]
    shown = CliRunner().invoke(command, arguments, prog_name=name, terminal_width=COLUMNS)
    assert shown.exit_code == 0, shown.output
    return "\n".join(line.rstrip() for line in shown.output.strip().splitlines())


def commands() -> list[tuple[str, ...]]:
    """The words of each command, those of a group behind the group."""
    found: list[tuple[str, ...]] = []
    with click.Context(splitbrain) as context:
        for name in COMMANDS:
            found.append((name,))
            command = splitbrain.get_command(context, name)
            if isinstance(command, click.Group):
                found += [(name, below) for below in command.commands]
    return found


def hold(path: Path, expected: str) -> None:
    if os.environ.get("SPLITBRAIN_REWRITE"):
        path.write_text(expected)
    assert path.read_text() == expected


def test_the_reference_of_the_command_line_equals_its_help() -> None:
    path = REFERENCE / "cli.md"
    introduction, begins, _ = path.read_text().partition("## splitbrain\n")
    assert begins
    sections = [f"## splitbrain\n\n```text\n{help_of(splitbrain, 'splitbrain')}\n```\n"] + [
        f"## splitbrain {' '.join(words)}\n\n```text\n"
        f"{help_of(splitbrain, 'splitbrain', *words)}\n```\n"
        for words in commands()
    ]
    hold(path, introduction + "\n".join(sections))


@pytest.mark.parametrize(("folder", "expected"), [
    ("man", manual_pages(version("splitbrain"))), ("completions", completions()),
], ids=["man", "completions"])  # fmt: skip
def test_the_files_that_the_wheel_installs_for_the_shell_are_those_of_the_commands(
    folder: str, expected: dict[str, str]
) -> None:
    path = INSTALLED / folder
    if os.environ.get("SPLITBRAIN_REWRITE"):
        for old in path.glob("*"):
            old.unlink()
        path.mkdir(parents=True, exist_ok=True)
        for name, text in expected.items():
            (path / name).write_text(text)
    assert {one.name: one.read_text() for one in path.iterdir()} == expected


def test_the_reference_of_the_members_flags_equals_its_help() -> None:
    path = REFERENCE / "member.md"
    _, begins, options = help_of(member, "python -m splitbrain.node").partition("Options:\n")
    block = f"```text\n{begins}{options}\n```"
    hold(path, re.sub(r"```text\nOptions:\n.*?\n```", lambda _: block, path.read_text(),
                      flags=re.DOTALL))


def test_the_reference_of_known_bugs_equals_the_list() -> None:
    path = REFERENCE / "known-bugs.md"
    introduction, begins, _ = path.read_text().partition("| bug |")
    assert begins
    rows = []
    for bug in known_bugs().values():
        releases = " or ".join(f"`{one}`" for one in bug.affected)
        is_link = bug.source.startswith("https") and " " not in bug.source
        name = f"[{bug.id}]({bug.source})" if is_link else bug.id
        title = bug.title if is_link else f"{bug.title} ({bug.source})"
        rows.append(f"| {name} | {title} | {releases} | {bug.trigger} | {handling(bug)} |")
    head = "| bug | what happens | releases | trigger | excused by |\n|---|---|---|---|---|\n"
    hold(path, introduction + head + "\n".join(rows) + "\n")


def listed(names: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def handling(bug: KnownBug) -> str:
    """How a run excuses `bug`."""
    texts = []
    for one in bug.avoid:
        left_out = [*(f"`-o {name}={value}`" for name, value in one.options.items())]
        left_out += [f"no {listed(one.faults, 'or')}"] if one.faults else []
        where = " in the workload" if len(one.workloads) == 1 else " in the workloads"
        where = f"{where} {listed(one.workloads, 'and')}" if one.workloads else ""
        where += " in a cluster of one member" if one.members_max == 1 else ""
        where += f", in runs with {listed(one.with_faults, 'or')}" if one.with_faults else ""
        texts.append("; ".join(left_out) + where)
    for signature in bug.signature:
        facts = ", ".join(f"{name} = {value}".lower() for name, value in signature.detail.items())
        text = f"signature: {signature.checker}, {signature.kind}"
        text += f" ({facts})" if facts else ""
        texts.append(text + (f', "{signature.because}"' if signature.because else ""))
    return "; ".join(texts) or "not drawn by any workload with default flags"


@pytest.mark.parametrize("path", sorted(REFERENCE.parent.rglob("*.md")), ids=lambda one: one.name)
def test_every_link_of_a_page_has_a_target(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (path.parent / target).exists(), target
