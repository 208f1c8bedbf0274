"""Executes and records the operations of a run, with a session for each process of the history."""

from __future__ import annotations

import asyncio

from splitbrain.harness.clients.completion import Completion, error_text
from splitbrain.harness.clients.session import Clients, Session
from splitbrain.harness.systems.system import AnySystem
from splitbrain.histories.client_call import Call
from splitbrain.histories.recorder import Recorder
from splitbrain.histories.service_operation import AnyRequest


class Sessions:
    """The sessions of a run. A session is the connection of one process to one member.

    The first operation that a process sends to a member opens a session. If `one_member` is True, a
    process sends all its operations to the member of its first operation.
    """

    def __init__(
        self, *, system: AnySystem, clients: Clients, recorder: Recorder, one_member: bool = False
    ) -> None:
        self._system = system
        self._clients = clients
        self._recorder = recorder
        self._one_member = one_member
        self._sessions: dict[int, dict[str, Session]] = {}

    def member_of(self, process: int) -> str | None:
        """Return the member that `process` must use, or None if it may use any member."""
        if not self._one_member:
            return None
        return next(iter(self._sessions.get(process, ())), None)

    async def invoke(self, process: int, f: str, request: AnyRequest, member: str) -> Completion:
        """Let `process` execute one operation at `member`, and record it.

        If `ends_process` of the result is True, the process must not invoke another operation.
        """
        recorder = self._recorder
        recorder.invoke(process, f, request.value if type(request) is Call else request, member)
        own = self._sessions.get(process)
        session = None if own is None else own.get(member)
        try:
            if session is None:
                session = await self._open(process, member)
            completion = await session.invoke(f, request)
        except asyncio.CancelledError:
            recorder.info(process, f, member, "the run was stopped")
            raise
        if completion.outcome == "ok":
            recorder.ok(process, f, completion.result, member)
            return completion
        if completion.outcome == "fail":
            recorder.fail(process, f, member, completion.error)
        else:
            recorder.info(process, f, member, completion.error)
        if completion.ends_process:
            await self.close(process)
        return completion

    async def close(self, process: int) -> None:
        """Close all sessions of `process`."""
        for session in self._sessions.pop(process, {}).values():
            await session.close()

    async def close_all(self) -> None:
        """Close all sessions, concurrently. A second call has no effect."""
        await asyncio.gather(*(self.close(process) for process in tuple(self._sessions)))

    async def _open(self, process: int, member: str) -> Session:
        address = self._system.address(member)
        try:
            session = await self._clients.open(address)
        except Exception as problem:  # nothing was sent
            why = f"not connected: {error_text(problem)}"
            return _NoSession(Completion("fail", error=why, connected=False))
        self._sessions.setdefault(process, {})[member] = session
        return session


class _NoSession:
    """Replaces a session that could not be opened. Every operation has the same outcome."""

    def __init__(self, completion: Completion) -> None:
        self._completion = completion

    async def invoke(self, f: str, request: AnyRequest, /) -> Completion:
        return self._completion

    async def close(self) -> None:
        """Do nothing, because nothing is open."""
