"""An asyncio event loop of virtual time, without a selector, threads or a real clock.

Callbacks run one after the other. Callbacks that are ready run first, in the order in which they
became ready. When no callback is ready, time jumps to the earliest timer. If two timers have the
same time, the one that was set first runs first. So the same program with the same random draws
takes the same steps.

The following sources of nondeterminism remain in CPython 3.11 to 3.13. Code that runs on this loop
avoids them:

- `asyncio.wait` and `TaskGroup` keep tasks in sets, which are ordered by address, and a
  TaskGroup cancels its children in that order. Keep tasks in a dict instead, and cancel and
  await them in its order. (`gather` uses the order of its arguments.)
- The time of garbage collection depends on the allocator, and a pending task that is
  collected runs its `finally` blocks. So the tasks of an ended process are kept
  (`Process.tasks`), and the collector is off while a loop runs.
- `asyncio.TimerHandle`s are compared only by time, and a heap of them is not stable. So each
  timer in the heap has a sequence number.
- `PYTHONHASHSEED` decides the order of sets of strings and bytes. Sort them, or use a dict.
- Since 3.12 a task factory can run the first step of a task eagerly. This loop uses no task
  factory.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from heapq import heappop, heappush
from math import ceil
from typing import Any, NoReturn

import msgspec

from splitbrain.harness.errors import SplitbrainError
from splitbrain.harness.simulation.simulated_process import Ended, Process

EVENTS_AT_ONE_MOMENT_MAX = 1_000_000
"""The loop raises `Livelock` after this number of callbacks at the same virtual time."""


class Deadlock(SplitbrainError):
    """Raised when no callback is scheduled although tasks still wait.

    The message names the tasks.
    """


class Livelock(SplitbrainError):
    """Raised when callbacks endlessly schedule callbacks at the same virtual time.

    Virtual time would never advance.
    """


class _Handle(msgspec.Struct, eq=False):
    """A callback, the process on whose behalf it runs, and its context variables.

    A callback whose context is None must not set context variables. This class replaces
    `asyncio.Handle` and `TimerHandle`, which are slower.
    """

    callback: Callable[..., object]
    args: tuple[Any, ...]
    process: Process | None
    context: Context | None = None
    when_ns: int = 0
    cancelled_: bool = False

    def cancel(self) -> None:
        self.cancelled_ = True
        self.callback = _nothing
        self.args = ()
        self.context = None

    def cancelled(self) -> bool:
        return self.cancelled_

    def when(self) -> float:
        return self.when_ns / 1e9


def _never_again(process: Process) -> None:
    """Let `process` run without a limit of its steps."""
    process.steps_judged_at = sys.maxsize


def _nothing() -> None:
    """Do nothing. A handle that is cancelled calls this function in place of its callback."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An asyncio event loop of virtual time.

    `now_ns` is the virtual time in ns since the loop was created. If `observe` is set, the loop
    calls it after each callback of a process, with that process as its argument. The loop calls
    `judge_steps` before a process runs more than `Process.steps_judged_at` callbacks.

    Each task has its own context variables, as in asyncio. The callbacks that `at_ns` and `soon`
    schedule run without a context of their own, and must not set context variables.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.events = 0
        """The number of callbacks that have run."""
        self.current: Process | None = None
        """The process on whose behalf code runs at present. None: the code belongs to the
        harness."""
        self.observe: Callable[[Process], None] | None = None
        self.judge_steps: Callable[[Process], None] = _never_again
        self.unhandled: list[str] = []
        """Errors that no code has handled, as the lines of a log."""
        self._soon: deque[_Handle] = deque()
        self._heap: list[tuple[int, int, _Handle]] = []
        self._sequence = 0
        self._tasks_in_order: dict[asyncio.Task[Any], None] = {}

    # --- scheduling ------------------------------------------------------------------

    def time(self) -> float:
        return self.now_ns / 1e9

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        # A context without variables is false, so `context or copy_context()` would be wrong.
        in_context = copy_context() if context is None else context
        handle = _Handle(callback, args, self.current, in_context)
        self._soon.append(handle)
        return handle

    # There are no other threads.
    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any,
        context: Context | None = None,
    ) -> _Handle:
        # Rounded up, so that a sleeping task does not wake before its time.
        handle = self._handle(callback, args, context)
        return self._timer(handle, self.now_ns + ceil(delay * 1e9))

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any,
        context: Context | None = None,
    ) -> _Handle:
        return self._timer(self._handle(callback, args, context), ceil(when * 1e9))

    def _handle(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> _Handle:
        return _Handle(
            callback, args, self.current, copy_context() if context is None else context
        )

    def at_ns(
        self, when_ns: int, process: Process | None, callback: Callable[..., object], *args: Any
    ) -> _Handle:
        """Call `callback` at the virtual time `when_ns`, or now if that time is past.

        It runs on behalf of `process` (None: the harness).
        """
        if when_ns < self.now_ns:
            when_ns = self.now_ns
        handle = _Handle(callback, args, process, when_ns=when_ns)
        self._sequence += 1
        heappush(self._heap, (when_ns, self._sequence, handle))
        return handle

    def _timer(self, handle: _Handle, when_ns: int) -> _Handle:
        handle.when_ns = max(when_ns, self.now_ns)
        self._sequence += 1
        heappush(self._heap, (handle.when_ns, self._sequence, handle))
        return handle

    def soon(self, process: Process | None, callback: Callable[..., object], *args: Any) -> None:
        """Call `callback` as soon as possible, as `call_soon` does, but on behalf of `process`."""
        self._soon.append(_Handle(callback, args, process))

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
        """Run callbacks until `stop` is called.

        Raises Deadlock if no callback is left, and Livelock if time does not advance.
        """
        self._check_closed()  # type: ignore[attr-defined]
        self._check_running()  # type: ignore[attr-defined]
        hooks = sys.get_asyncgen_hooks()
        gc_was_enabled = gc.isenabled()
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
            if gc_was_enabled:
                gc.enable()

    def is_running(self) -> bool:
        return self._running

    _running = False
    _stopping = False

    def stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        soon, heap, popleft = self._soon, self._heap, self._soon.popleft
        at_this_time = 0
        while not self._stopping:
            if soon:
                handle = popleft()
                at_this_time += 1
                if at_this_time > EVENTS_AT_ONE_MOMENT_MAX:
                    self._raise_livelock(handle)
                if handle.cancelled_:
                    continue
            elif heap:
                when_ns, _, handle = heappop(heap)
                if handle.cancelled_:
                    continue
                if when_ns > self.now_ns:
                    self.now_ns = when_ns
                    at_this_time = 0
                else:
                    at_this_time += 1
                    if at_this_time > EVENTS_AT_ONE_MOMENT_MAX:
                        self._raise_livelock(handle)
            else:
                self._raise_deadlock()
            self.current = process = handle.process
            if process is not None:
                if not process.runs:
                    if process.paused and not process.ended:
                        process.backlog.append(handle)
                    continue
                process.steps += 1
                if process.steps > process.steps_judged_at:
                    self.judge_steps(process)
            self.events += 1
            try:
                if handle.context is None:
                    handle.callback(*handle.args)
                else:
                    handle.context.run(handle.callback, *handle.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except Ended:
                pass
            except BaseException as problem:
                self._note(handle, problem)
            if process is not None and self.observe is not None:
                self.observe(process)

    def _note(self, handle: _Handle, problem: BaseException) -> None:
        owner = handle.process.name if handle.process is not None else "harness"
        self.unhandled.append(f"{owner}: {type(problem).__name__}: {problem}")

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if str(context.get("message", "")).startswith("Future exception was never retrieved"):
            # The task that waited for the error was killed or gave up at the same time. Versions of
            # the interpreter report this at different times.
            return
        problem = context.get("exception")
        details = f"{type(problem).__name__}: {problem}" if problem is not None else ""
        owner = self.current.name if self.current is not None else "harness"
        self.unhandled.append(f"{owner}: {context.get('message', '')}: {details}")

    def _raise_deadlock(self) -> NoReturn:
        waiting = ", ".join(task.get_name() for task in self._tasks_in_order if not task.done())
        raise Deadlock(
            f"no callback is scheduled at {self.time():.3f} s of virtual time, and these tasks "
            f"still wait: {waiting or 'none'}"
        )

    def _raise_livelock(self, handle: _Handle) -> NoReturn:
        owner = handle.process.name if handle.process is not None else "the harness"
        raise Livelock(
            f"{EVENTS_AT_ONE_MOMENT_MAX:,} callbacks ran at {self.time():.6f} s of virtual time "
            f"without an end; the last one was {handle.callback!r} of {owner}"
        )

    def _end_generator(self, generator: Any) -> None:
        """Close an asynchronous generator that was dropped before its end.

        The process that runs at present closes the generator, unless that process is paused or has
        ended.
        """
        if self.current is None or self.current.runs:
            self.call_soon(lambda: self.create_task(generator.aclose()))

    # --- features of a loop that do not exist here -------------------------------------

    async def shutdown_asyncgens(self) -> None:
        """Do nothing, because generators end with their processes."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Do nothing, because there is no executor."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        raise RuntimeError(
            "a simulated run has no threads, because no seed decides the timing of a thread; "
            "call the function directly, or use an interface of the world"
        )

    # Asyncio calls this method for each future and task; `bool()` returns False.
    get_debug = staticmethod(bool)

    def close(self) -> None:
        self._soon.clear()
        self._heap.clear()
        self._closed = True

    def is_closed(self) -> bool:
        return self._closed

    _closed = False
