"""Renders the page of a run in progress, which shows operations, rate and faults.

The values are read repeatedly from the history and the traces, while the run appends to these
files.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec

from splitbrain.harness.report.html import TEMPLATES, render_script
from splitbrain.harness.store.lenient_records import RunFacts, read_run_facts
from splitbrain.harness.store.run_folder import REPORT, RunFolder
from splitbrain.harness.systems.processes.member_files import TRACE
from splitbrain.histories.event import NEMESIS, Event, FaultEvent
from splitbrain.histories.trace import TraceEvent

RATE_S = 5.0
"""The number of seconds, at the end of the history, over which the rate is computed."""
LEAD = b'"lead"'
"""A line of a trace contains this text if it says that a member became leader."""
READ_BYTES_MAX = 16 * 1024**2
"""The maximal number of bytes read at once. The rest is read the next time."""


class LiveState(msgspec.Struct, frozen=True, kw_only=True):
    """The values that the page shows at one moment."""

    seconds: float
    """The time of the last event, in s since the start of the run."""
    outcomes: dict[str, int]
    open: int
    """The number of operations that were invoked and have no answer yet."""
    rate: float
    faults: tuple[str, ...]
    """The faults that are active."""
    leader: str
    """The member that became leader in the highest term, by the members' traces; "" if no member
    has, or if the system writes no traces."""
    term: int
    ended: str
    """How the run ended; "running" while it is in progress."""


class LiveRun:
    """Reads the history of the run in `folder` while the run appends to it.

    Each `update` reads what was appended since the last one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = RunFolder(folder)
        self._offset = 0
        self._outcomes = {"ok": 0, "fail": 0, "info": 0}
        self._invoked = 0
        self._last_ns = 0
        self._answered_ns: deque[int] = deque()
        self._faults: dict[int, str] = {}
        self._leader = LeaderOfTraces(folder)

    def update(self) -> LiveState:
        """Read what was appended to the files of the run, and return the values for the page."""
        # The record is read before the history. If it says that the run has ended, nothing is
        # appended to the history any more.
        facts = read_run_facts(self._folder)[0]
        more = True
        while more:
            more = self._read()
        leader, term = self._leader.update(facts)
        since = self._last_ns - int(RATE_S * 1e9)
        while self._answered_ns and self._answered_ns[0] < since:
            self._answered_ns.popleft()
        return LiveState(
            seconds=round(self._last_ns / 1e9, 1), outcomes=dict(self._outcomes),
            open=self._invoked - sum(self._outcomes.values()),
            rate=round(len(self._answered_ns) / RATE_S, 1), faults=tuple(self._faults.values()),
            ended=facts.ended if facts else "running", leader=leader, term=term,
        )

    def _read(self) -> bool:
        """Read at most `READ_BYTES_MAX` bytes of the history, and only whole lines.

        Returns whether there may be more to read.
        """
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
                continue  # A damaged line is skipped. The report mentions it.
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


class LeaderOfTraces:
    """Finds the current leader of a run in progress, from the members' traces."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self._term, self._leader = 0, ""
        self._decoder = msgspec.json.Decoder(TraceEvent)

    def update(self, facts: RunFacts | None) -> tuple[str, int]:
        """Read what was appended to the traces of the run `facts`.

        Returns the name and the term of the leader with the highest term; ("", 0) if no trace names
        one.
        """
        for member in facts.members if facts else ():
            path = (self._folder / (member.trace or f"{member.name}/{TRACE}")).resolve()
            if not path.is_relative_to(self._folder.resolve()):
                continue
            with suppress(OSError):
                while self._read(path):
                    pass
        return self._leader, self._term

    def _read(self, path: Path) -> bool:
        """Read at most `READ_BYTES_MAX` bytes of the trace `path`, and only whole lines.

        Returns whether there may be more to read.
        """
        with path.open("rb") as file:
            file.seek(self._offsets.get(path, 0))
            data = file.read(READ_BYTES_MAX)
        end = data.rfind(b"\n") + 1
        self._offsets[path] = self._offsets.get(path, 0) + end
        at = data.find(LEAD, 0, end)
        while at >= 0:
            begin = data.rfind(b"\n", 0, at) + 1
            self._add(data[begin : data.find(b"\n", at)])
            at = data.find(LEAD, at + 1, end)
        return len(data) == READ_BYTES_MAX and end > 0

    def _add(self, line: bytes) -> None:
        with suppress(msgspec.MsgspecError):  # A damaged line is skipped. The report mentions it.
            event = self._decoder.decode(line)
            if event.step == "lead" and event.term >= self._term:
                self._leader, self._term = event.member, event.term


def render_live(folder: str) -> str:
    """Return the page that shows the run in `folder`.

    `folder` is the path relative to the store.
    """
    script = (TEMPLATES / "live.js").read_text()
    return render_script(
        "live.html.j2", script, title=f"{folder}: live", here="", folder=folder,
        report_name=REPORT, connects=True,
    )
