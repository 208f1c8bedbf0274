"""Every name that `splitbrain list` prints is a value of the option in its section's title."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from splitbrain.harness.cli.list import FORMER_NAMES, SECTIONS
from splitbrain.harness.cli.main import run_main
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.systems.factory import capabilities_of
from splitbrain.harness.workloads.catalogue import make_workload


def printed(section: str, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    """The rows of `splitbrain list SECTION`: name and description."""
    capsys.readouterr()
    assert run_main(["list", section]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert rows
    return [(row.split()[0], row.split(maxsplit=1)[1]) for row in rows]


TAKERS: dict[str, Callable[[str], object]] = {
    "workloads": lambda name: make_workload(name, {}),
    "nemeses": lambda name: read_options({"nemesis": [name]}),
    "systems": lambda name: capabilities_of(read_options({"system": name})),
    "mutants": lambda name: read_options({"mutant": name}),
    "known-bugs": lambda name: read_options({"known": [name]}),
}
"""The functions that the command `run` passes the values of its options to."""


@pytest.mark.parametrize("section", list(TAKERS))
def test_the_command_run_takes_each_printed_name(
    section: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, _ in printed(section, capsys):
        TAKERS[section](name)


def test_the_options_of_a_workload_are_printed_as_the_user_types_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printed("store-workloads", capsys)[2][1].endswith("(-o reads_percent=5)")
    for name, description in printed("workloads", capsys):
        options = dict(re.findall(r"-o (\w+)=(\d+)", description))
        assert options, name
        make_workload(name, {option: int(default) for option, default in options.items()})


def test_the_command_check_takes_each_printed_checker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "h.jsonl")
    assert run_main(["generate", "--ops", "5", "-o", path]) == 0
    for name, _ in printed("checkers", capsys):
        assert run_main(["check", path, "--checker", name]) in (0, 2), name


def test_the_command_generate_takes_each_printed_corruption_with_the_workload_of_its_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "h.jsonl")
    for name, description in printed("corruptions", capsys):
        found = re.search(r"\(--workload ([^)]+)\)$", description)
        assert found, description
        for workload in found[1].split(", "):
            command = ["generate", "--workload", workload, "--ops", "20", "--members", "2"]
            code = run_main([*command, "--corrupt", name, "-o", path])
            # A history of 20 operations need not have a place for every corruption.
            message = capsys.readouterr().err
            assert code == 0 or "not possible anywhere" in message, message


@pytest.mark.parametrize("section", SECTIONS)
def test_a_name_that_is_not_printed_is_refused(
    section: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "h.jsonl")
    assert run_main(["generate", "--ops", "5", "-o", path]) == 0
    command, option = SECTIONS[section][0].split()
    others = {"check": [path], "generate": ["-o", path]}.get(command, [])
    capsys.readouterr()
    assert run_main([command, *others, option, "no-such-name"]) == 254
    assert "no-such-name" in capsys.readouterr().err


def test_the_former_names_of_the_section_and_of_the_option_are_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for former, name in FORMER_NAMES.items():
        assert printed(former, capsys) == printed(name, capsys)
    path = str(tmp_path / "h.jsonl")
    assert run_main(["generate", "--ops", "300", "--spoil", "wrong-value", "-o", path]) == 0
    assert run_main(["check", path]) == 1


def test_help_does_not_show_former_names(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("list", "generate"):
        assert run_main([command, "--help"]) == 0
        assert "spoil" not in capsys.readouterr().out
