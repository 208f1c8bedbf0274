"""The live view of a run under way: operations, rate and faults, from the files that grow."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import msgspec

from splitbrain.harness.report.html import TEMPLATES, render_script
from splitbrain.harness.store.facts import read_run_facts
from splitbrain.harness.store.run_folder import REPORT, RunFolder
from splitbrain.histories.event import NEMESIS, Event, FaultEvent

RATE_S = 5.0
"""The rate is that of the last seconds of the history."""
READ_BYTES_MAX = 16 * 1024**2
"""The most bytes read at once. The rest is read the next time."""


class LiveState(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows of a run at one moment."""

    seconds: float
    """The time of the last event since the run began."""
    outcomes: dict[str, int]
    open: int
    """Operations that were invoked and have no answer yet."""
    rate: float
    faults: tuple[str, ...]
    """The faults in force."""
    ended: str
    """How the run ended; "running" while it does not."""


class LiveRun:
    """Follows the history of the run in `folder`. `update` reads what was appended."""

    def __init__(self, folder: Path) -> None:
        self._folder = RunFolder(folder)
        self._offset = 0
        self._outcomes = {"ok": 0, "fail": 0, "info": 0}
        self._invoked = 0
        self._last_ns = 0
        self._answered_ns: deque[int] = deque()
        self._faults: dict[int, str] = {}

    def update(self) -> LiveState:
        # The record is read first: a run that has ended appends nothing afterwards.
        facts = read_run_facts(self._folder)[0]
        more = True
        while more:
            more = self._read()
        since = self._last_ns - int(RATE_S * 1e9)
        while self._answered_ns and self._answered_ns[0] < since:
            self._answered_ns.popleft()
        return LiveState(
            seconds=round(self._last_ns / 1e9, 1), outcomes=dict(self._outcomes),
            open=self._invoked - sum(self._outcomes.values()),
            rate=round(len(self._answered_ns) / RATE_S, 1), faults=tuple(self._faults.values()),
            ended=facts.ended if facts else "running",
        )

    def _read(self) -> bool:
        """Read up to `READ_BYTES_MAX` of whole lines. Returns whether there may be more."""
        try:
            with self._folder.history.open("rb") as file:
                file.seek(self._offset)
                data = file.read(READ_BYTES_MAX)
        except OSError:
            return False
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        decoder = msgspec.json.Decoder(Event)
        for line in whole.splitlines():
            try:
                self._add(decoder.decode(line))
            except msgspec.MsgspecError:
                continue  # the live view leaves damage to the report
        return len(data) == READ_BYTES_MAX and bool(whole)

    def _add(self, event: Event) -> None:
        self._last_ns = max(self._last_ns, event.time)
        if event.process == NEMESIS:
            self._add_fault(event)
        elif event.type == "invoke":
            self._invoked += 1
        else:
            self._outcomes[event.type] = self._outcomes.get(event.type, 0) + 1
            if event.type != "info":
                self._answered_ns.append(event.time)

    def _add_fault(self, event: Event) -> None:
        fault = msgspec.json.decode(event.value, type=FaultEvent)
        if fault.phase in ("ended", "failed"):
            self._faults.pop(fault.fault, None)
        elif fault.phase == "began":
            self._faults[fault.fault] = f"{event.f} {', '.join(fault.members)}".strip()


def render_live(folder: str) -> str:
    """The page that shows the run in `folder`, which is relative to the store."""
    script = (TEMPLATES / "live.js").read_text()
    return render_script(
        "live.html.j2", script, title=f"{folder}: live", here="", folder=folder,
        report_name=REPORT, connects=True,
    )
