"""The terminal shows the progress of a run."""

from __future__ import annotations

from rich.console import Console

from splitbrain.harness.cli.terminal_progress import panel
from splitbrain.harness.drive.progress import Snapshot


def shown(snapshot: Snapshot) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(panel(snapshot))
    return captured.get()


def test_a_load_shows_time_operations_leader_and_faults() -> None:
    output = shown(Snapshot("load", 7.25, 30.0, {"ok": 120, "fail": 3, "info": 1}, 41.7, "n2",
                          ("kill n1",)))
    for part in ("load", "7.2 / 30 s", "ok 120", "fail 3", "info 1", "42 op/s", "n2", "kill n1"):
        assert part in output


def test_a_phase_without_a_load_shows_no_counts() -> None:
    assert shown(Snapshot("heal")).split() == ["heal", "…"]
