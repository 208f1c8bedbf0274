"""ARCHITECTURE.md names every room, and the write path as the code has it."""

import re
from pathlib import Path

from splitbrain.node.apply.applier import Applier
from splitbrain.node.apply.flush_and_snapshot import BackendFlusher
from splitbrain.node.raft_driver import RaftDriver
from splitbrain.node.server import Server

ROOT = Path(__file__).parents[2]
FOLDERS = ("harness", "harness/systems", "checkers", "nemesis", "histories", "node")
CLASSES = {one.__name__: one for one in (Applier, BackendFlusher, RaftDriver, Server)}


def rooms() -> list[str]:
    return [
        path.parent.name
        for folder in FOLDERS
        for path in sorted((ROOT / folder).glob("*/__init__.py"))
    ]


def test_the_page_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    missing = [room for room in rooms() if not re.search(rf"`(\w+/)?{room}/`", text)]
    assert not missing


def test_the_methods_of_the_write_path_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(rf"`({'|'.join(CLASSES)})\.(\w+)`", text)
    assert len(named) > 8
    missing = [pair for pair in named if not hasattr(CLASSES[pair[0]], pair[1])]
    assert not missing
