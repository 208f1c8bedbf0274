"""Shows the progress of a run: as a live panel on a terminal, otherwise as plain lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TextIO

from splitbrain.harness.drive.progress import Progress, Silent, Snapshot

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


class PlainLines(Silent):
    """Prints a line of progress every few seconds, for output such as the log of a CI job."""

    period_s = 5.0

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or _print

    def say(self, line: str) -> None:
        self._write(line)

    def show(self, snapshot: Snapshot) -> None:
        self._write(plain(snapshot))


def plain(snapshot: Snapshot) -> str:
    """Format a snapshot of the run's progress as one line of text."""
    if not snapshot.limit_s:
        return snapshot.phase
    counts = " ".join(f"{outcome} {count}" for outcome, count in snapshot.outcomes.items())
    faults = ", ".join(snapshot.faults) or "none"
    return (
        f"{snapshot.elapsed_s:6.1f} / {snapshot.limit_s:.0f} s  {snapshot.phase}  {counts}  "
        f"{snapshot.rate:.0f} op/s  leader {snapshot.leader or '?'}  faults {faults}"
    )


class LivePanel(Silent):
    """Shows a panel on the terminal, which the library rich redraws in place."""

    period_s = 0.25

    def __init__(self) -> None:
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.live import Live

        self._live = Live(refresh_per_second=8, transient=True)
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        if self._live is None:
            _print(line)
        else:
            self._live.console.print(line, markup=False, highlight=False)

    def show(self, snapshot: Snapshot) -> None:
        if self._live is not None:
            self._live.update(panel(snapshot))


def panel(snapshot: Snapshot) -> Table:
    """Format a snapshot of the run's progress as a table of names and values."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right")
    table.add_column()
    if not snapshot.limit_s:
        table.add_row(snapshot.phase, "…")  # Operations are counted only during the load.
        return table
    time = Table.grid(padding=(0, 1))
    time.add_row(
        ProgressBar(total=max(snapshot.limit_s, 0.001), completed=snapshot.elapsed_s, width=40),
        f"{min(snapshot.elapsed_s, snapshot.limit_s):.1f} / {snapshot.limit_s:.0f} s",
    )
    table.add_row(snapshot.phase, time)
    outcomes = Text()
    for (outcome, count), style in zip(
        snapshot.outcomes.items(), ("green", "yellow", "red"), strict=False
    ):
        outcomes.append(f"{outcome} {count}  ", style=style)
    outcomes.append(f"{snapshot.rate:.0f} op/s")
    table.add_row("operations", outcomes)
    table.add_row("leader", snapshot.leader or "?")
    table.add_row("faults", Text(", ".join(snapshot.faults) or "none",
                                 style="red" if snapshot.faults else "dim"))
    return table


def progress_for(stream: TextIO | None = None) -> Progress:
    """Return a live panel if `stream` is a terminal, otherwise plain lines.

    If `stream` is None, standard output is used.
    """
    return LivePanel() if (stream or sys.stdout).isatty() else PlainLines()


def _print(line: str) -> None:
    print(line, flush=True)
