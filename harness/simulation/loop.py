"""An asyncio loop of virtual time: no selector, no threads, no real clock.

Callbacks run one after the other in the order (time, sequence): first whatever is
ready, in the order in which it became ready; when nothing is, time jumps to the
earliest timer, and of two timers of one moment the one set first is first. Nothing
else decides, so that the same program with the same draws takes the same steps.

What would still tell two runs apart, seen in CPython 3.11 to 3.13, and what to do:

- `asyncio.wait` and `TaskGroup` keep tasks in sets, whose order is that of addresses:
  a TaskGroup cancels its children in that order. Keep tasks in a dict, cancel and
  await them in its order. (`gather` is in the order of its arguments.)
- Garbage collection runs when the allocator says so: a pending task that is collected
  runs its `finally` blocks then. The tasks of an ended process are kept (`Process.tasks`),
  and the collector is off while a loop runs.
- `asyncio.TimerHandle`s compare by time alone, and a heap of them is not stable:
  timers stand in the heap with a sequence number.
- `PYTHONHASHSEED` orders sets of strings and bytes: sort, or use a dict.
- 3.12 runs a task's first step eagerly where a task factory asks for it: none does here.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from heapq import heappop, heappush
from math import ceil
from typing import Any, NoReturn

from splitbrain.harness.errors import SplitbrainError
from splitbrain.harness.simulation.process import Ended, Process

EVENTS_AT_ONE_MOMENT_MAX = 1_000_000
"""More callbacks than this without time passing is a loop that never ends."""


class Deadlock(SplitbrainError):
    """Nothing is scheduled, and what was waited for has not happened: names who waits."""


class Livelock(SplitbrainError):
    """Time stands still: callbacks go on scheduling callbacks of the same moment."""


class _Handle:
    """A callback, and the process that it runs in the name of. As an `asyncio.Handle`,
    and a `TimerHandle`, without what costs time: a copy of the context for each."""

    __slots__ = ("args", "callback", "cancelled_", "process", "when_ns")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        process: Process | None,
        when_ns: int,
    ) -> None:
        self.callback = callback
        self.args = args
        self.process = process
        self.when_ns = when_ns
        self.cancelled_ = False

    def cancel(self) -> None:
        self.cancelled_ = True
        self.callback = _nothing
        self.args = ()

    def cancelled(self) -> bool:
        return self.cancelled_

    def when(self) -> float:
        return self.when_ns / 1e9


def _nothing() -> None:
    """What is left of a cancelled callback."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`now_ns` is virtual time since the loop was made. `observe`, if set, is called with
    the process of each callback that ran, after it.

    All callbacks run in the context of whoever runs the loop: context variables are not
    kept apart by task, and a member's code uses none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.events = 0
        """Callbacks that have run."""
        self.current: Process | None = None
        """The process in whose name code runs now; None: the harness."""
        self.observe: Callable[[Process], None] | None = None
        self.unhandled: list[str] = []
        """Errors that nobody took, as a log would show them."""
        self._soon: deque[_Handle] = deque()
        self._heap: list[tuple[int, int, _Handle]] = []
        self._sequence = 0
        self._tasks_in_order: dict[asyncio.Task[Any], None] = {}

    # --- scheduling ------------------------------------------------------------------

    def time(self) -> float:
        return self.now_ns / 1e9

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: object = None
    ) -> _Handle:
        handle = _Handle(callback, args, self.current, 0)
        self._soon.append(handle)
        return handle

    # Nothing else runs: there are no other threads.
    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: object = None
    ) -> _Handle:
        # Rounded up: who sleeps until a moment must not wake before it, and sleep again.
        return self.at_ns(self.now_ns + ceil(delay * 1e9), self.current, callback, *args)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: object = None
    ) -> _Handle:
        return self.at_ns(ceil(when * 1e9), self.current, callback, *args)

    def at_ns(
        self, when_ns: int, process: Process | None, callback: Callable[..., object], *args: Any
    ) -> _Handle:
        """Call at a moment (now at the earliest) in the name of `process`."""
        if when_ns < self.now_ns:
            when_ns = self.now_ns
        handle = _Handle(callback, args, process, when_ns)
        self._sequence += 1
        heappush(self._heap, (when_ns, self._sequence, handle))
        return handle

    def soon(self, process: Process | None, callback: Callable[..., object], *args: Any) -> None:
        """As `call_soon`, in the name of `process`."""
        self._soon.append(_Handle(callback, args, process, 0))

    def create_task(
        self, coro: Generator[Any, None, Any] | Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, **options)
        process = self.current
        if process is None:
            self._tasks_in_order[task] = None
            task.add_done_callback(self._forget)
        else:
            process.tasks[task] = None
            task.add_done_callback(process.forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks_in_order.pop(task, None)

    def resume(self, process: Process) -> None:
        process.resume(self._soon)

    # --- running ---------------------------------------------------------------------

    def run_forever(self) -> None:
        """Raises Deadlock when nothing is left to run, Livelock when time stands still."""
        self._check_closed()  # type: ignore[attr-defined]
        self._check_running()  # type: ignore[attr-defined]
        hooks = sys.get_asyncgen_hooks()
        collecting = gc.isenabled()
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._end_generator)
        gc.disable()
        events._set_running_loop(self)
        self._running = True
        try:
            self._run()
        finally:
            self._running = False
            self._stopping = False
            self.current = None
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)
            if collecting:
                gc.enable()

    def is_running(self) -> bool:
        return self._running

    _running = False
    _stopping = False

    def stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        soon, heap, popleft = self._soon, self._heap, self._soon.popleft
        at_once = 0
        while not self._stopping:
            if soon:
                handle = popleft()
                at_once += 1
                if at_once > EVENTS_AT_ONE_MOMENT_MAX:
                    self._stand_still(handle)
                if handle.cancelled_:
                    continue
            elif heap:
                when_ns, _, handle = heappop(heap)
                if handle.cancelled_:
                    continue
                if when_ns > self.now_ns:
                    self.now_ns = when_ns
                    at_once = 0
                else:
                    at_once += 1
                    if at_once > EVENTS_AT_ONE_MOMENT_MAX:
                        self._stand_still(handle)
            else:
                self._nothing_left()
            self.current = process = handle.process
            if process is not None and not process.runs:
                if process.paused and not process.ended:
                    process.backlog.append(handle)
                continue
            self.events += 1
            try:
                handle.callback(*handle.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except Ended:
                pass
            except BaseException as problem:
                self._note(handle, problem)
            if process is not None and self.observe is not None:
                self.observe(process)

    def _note(self, handle: _Handle, problem: BaseException) -> None:
        whose = handle.process.name if handle.process is not None else "harness"
        self.unhandled.append(f"{whose}: {type(problem).__name__}: {problem}")

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if str(context.get("message", "")).startswith("Future exception was never retrieved"):
            # Whoever waited was killed, or gave up, in the moment of the error. When it is
            # noticed is the interpreter's affair: it differs from version to version.
            return
        problem = context.get("exception")
        said = f"{type(problem).__name__}: {problem}" if problem is not None else ""
        whose = self.current.name if self.current is not None else "harness"
        self.unhandled.append(f"{whose}: {context.get('message', '')}: {said}")

    def _nothing_left(self) -> NoReturn:
        waiting = ", ".join(task.get_name() for task in self._tasks_in_order if not task.done())
        raise Deadlock(
            f"nothing is scheduled at {self.time():.3f} s of virtual time, and these tasks "
            f"still wait: {waiting or 'none'}"
        )

    def _stand_still(self, handle: _Handle) -> NoReturn:
        whose = handle.process.name if handle.process is not None else "the harness"
        raise Livelock(
            f"{EVENTS_AT_ONE_MOMENT_MAX:,} callbacks ran at {self.time():.6f} s of virtual time "
            f"without an end; the last one was {handle.callback!r} of {whose}"
        )

    def _end_generator(self, generator: Any) -> None:
        """An asynchronous generator was dropped before its end: what it holds is released
        by its own process, if that still runs."""
        if self.current is None or self.current.runs:
            self.call_soon(lambda: self.create_task(generator.aclose()))

    # --- what there is none of ---------------------------------------------------------

    async def shutdown_asyncgens(self) -> None:
        """Generators end with their processes."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        raise RuntimeError(
            "a simulated run has no threads: a thread's time is the machine's, and no seed "
            "decides it; do the work in place, or in the world's own way"
        )

    def get_debug(self) -> bool:
        return False

    def close(self) -> None:
        self._soon.clear()
        self._heap.clear()
        self._closed = True

    def is_closed(self) -> bool:
        return self._closed

    _closed = False
