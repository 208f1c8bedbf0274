"""Creates a history from a list of requests and answers that a test writes."""

from __future__ import annotations

from typing import Any

import msgspec

from splitbrain.histories.event import Event
from splitbrain.histories.history import History
from splitbrain.histories.kv import Header, Request
from splitbrain.histories.member_state import Change, MemberState

MS = 1_000_000


class ScriptedHistory:
    """Records events in the order of the method calls, one millisecond apart."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._processes = 0
        self._open: dict[int, tuple[str, str]] = {}

    def at(self, ms: int) -> None:
        """The next event is not before `ms` milliseconds."""
        self._skip = ms

    def invoke(self, request: Request, node: str = "n1", f: str = "any") -> int:
        """A new process invokes `request`. Returns its number."""
        process = self._processes
        self._processes += 1
        self._open[process] = (f, node)
        self._record(process, "invoke", msgspec.json.encode(request), None)
        return process

    def ok(self, process: int, result: Any, revision: int) -> None:
        answered = msgspec.structs.replace(result, header=Header(revision=revision))
        self._record(process, "ok", msgspec.json.encode(answered), None)

    def fail(self, process: int, error: str = "etcdserver: too many requests") -> None:
        self._record(process, "fail", b"null", error)

    def info(self, process: int, error: str = "timed out") -> None:
        self._record(process, "info", b"null", error)

    def did(
        self, request: Request, result: Any, revision: int, node: str = "n1", f: str = "any"
    ) -> None:
        """Invoke `request` and answer it, with no event between."""
        self.ok(self.invoke(request, node, f), result, revision)

    def _record(self, process: int, kind: Any, value: bytes, error: str | None) -> None:
        f, node = self._open[process]
        time = len(self.events) * MS
        if hasattr(self, "_skip"):
            time = max(time, self._skip * MS)
        self.events.append(
            Event(len(self.events), time, process, kind, f, msgspec.Raw(value), node, error)
        )

    def history(self) -> History:
        return History.of(self.events)


def members(
    changes: list[Change], revision: int = 0, names: tuple[str, ...] = ("n1", "n2", "n3"),
    **fields: Any,
) -> tuple[MemberState, ...]:
    """Members whose change logs are all `changes`."""
    last = revision or max((change.revision for change in changes), default=1)
    return tuple(MemberState(n, revision=last, changes=tuple(changes), **fields) for n in names)
