"""This project's Raft answers etcd-io/raft's interaction tests like etcd-io/raft.

The data is in `../shared/data/raft` next to this project, or in the folder that
SPLITBRAIN_RAFT_DATA names. Without it, only this project's own files are run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.raft.comparison import differences
from tests.conformance.raft.datadriven import Malformed, read_commands
from tests.conformance.raft.go_text import quoted

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SPLITBRAIN_RAFT_DATA") or ROOT.parent / "shared" / "data" / "raft")
OWN = Path(__file__).parent / "raft" / "testdata"


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.txt"))


@pytest.mark.skipif(not files(DATA), reason=f"needs etcd-io/raft's test data in {DATA}")
def test_each_interaction_test_of_etcd_gives_the_expected_output() -> None:
    assert "\n".join(differences(path) for path in files(DATA)).strip() == ""


@pytest.mark.parametrize("path", files(OWN), ids=lambda path: path.stem)
def test_each_own_interaction_test_gives_the_expected_output(path: Path) -> None:
    assert differences(path) == ""


def test_a_difference_is_shown_as_a_diff_and_is_the_exit_status(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text(
        "add-nodes 1 voters=(1) index=3\n----\nok\n\nraft-state\n----\n1: StateLeader\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.conformance.raft", str(wrong)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "-1: StateLeader" in done.stdout
    assert "+1: StateFollower (Voter) Term:0 Lead:0" in done.stdout


def test_arguments_with_one_or_several_values_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text(
        "# a comment\nadd-nodes 2 voters=(1,2, 3) \\\n  index=7\nl2 r1\n----\n----\na\n\nb\n----\n"
        "----\n"
    )
    (command,) = read_commands(path)
    assert (command.line, command.name, command.words()) == (2, "add-nodes", ("2",))
    assert command.values("voters") == ("1", "2", "3")
    assert command.values("index") == ("7",)
    assert (command.input, command.expected) == ("l2 r1", "a\n\nb")


def test_a_command_without_a_separator_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("campaign 1\n")
    with pytest.raises(Malformed, match="no ---- follows"):
        read_commands(path)


def test_an_unknown_command_and_a_refused_option_are_part_of_the_output(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text(
        "swim 1\n----\nunknown command\n\n"
        "add-nodes 1 voters=(1) index=1\n----\n"
        "index must be specified as > 1 due to bootstrap\n\n"
        'add-nodes 1 voters=(1) index=3 read-only=fast\n----\ninvalid read-only option "fast"\n\n'
        "log-level loud\n----\n"
        "log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]\n"
    )
    assert differences(path) == ""


def test_bytes_are_quoted_as_in_go() -> None:
    assert quoted('a"\n\xe9'.encode() + b"\x00\xff") == '"a\\"\\n\xe9\\x00\\xff"'
