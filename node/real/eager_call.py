"""Runs a coroutine without a task.

A task begins in the next iteration of the event loop. The coroutine of an `EagerCall` begins at
once, so that a request is answered earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class EagerCall(Generic[T]):
    """Runs `coroutine` until it waits, and continues it when the future it waits for is done.

    At the end, `done` is called with the result and the exception, one of which is None. `done` may
    be called before the constructor returns. The coroutine must not use `asyncio.timeout` or
    `asyncio.current_task`, which need a task.
    """

    __slots__ = ("_cancelled", "_context", "_coroutine", "_done", "_waits_for")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        done: Callable[[T | None, BaseException | None], None],
    ) -> None:
        self._coroutine = coroutine
        self._done = done
        self._cancelled = False
        self._waits_for: asyncio.Future[Any] | None = None
        self._context = copy_context()
        self._context.run(self._step)

    def cancel(self) -> None:
        """Raise CancelledError in the coroutine, at the place where it waits."""
        if self._waits_for is None or not self._waits_for.cancel():
            self._cancelled = True

    def _continue(self, waited_for: asyncio.Future[Any]) -> None:
        self._waits_for = None
        try:
            waited_for.result()
        except (Exception, asyncio.CancelledError) as problem:
            self._step(problem)
        else:
            self._step()

    def _step(self, problem: BaseException | None = None) -> None:
        if self._cancelled:
            self._cancelled = False
            problem = problem or asyncio.CancelledError()
        try:
            if problem is None:
                yielded = self._coroutine.send(None)
            else:
                yielded = self._coroutine.throw(problem)
        except StopIteration as end:
            self._done(end.value, None)
        except (Exception, asyncio.CancelledError) as raised:
            self._done(None, raised)
        else:
            self._wait_for(yielded)

    def _wait_for(self, yielded: asyncio.Future[Any] | None) -> None:
        if yielded is None:  # asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(self._step, context=self._context)
            return
        # `Future.__await__` sets this flag, and expects that the one who waits resets it.
        yielded._asyncio_future_blocking = False
        self._waits_for = yielded
        yielded.add_done_callback(self._continue, context=self._context)
