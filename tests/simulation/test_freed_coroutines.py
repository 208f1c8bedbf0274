"""Tests of `splitbrain.harness.simulation.freed_coroutines`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any

import pytest

from splitbrain.harness.simulation.freed_coroutines import ClosingErrorsIgnored


class _Suspension:
    """Suspends the coroutine that awaits it."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def _answers() -> AsyncGenerator[int, None]:
    await _Suspension()
    yield 1


async def _read() -> None:
    async with contextlib.aclosing(_answers()) as answers:
        async for _ in answers:
            pass


async def _fail() -> None:
    try:
        await _Suspension()
    finally:
        raise ValueError("a bug")


def _free_suspended(coroutine: Coroutine[Any, Any, None]) -> None:
    coroutine.send(None)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """Return the list to which the types of reported errors are appended."""
    types: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda problem: types.append(problem.exc_type))
    return types


def test_a_reader_of_an_asynchronous_generator_is_freed_without_a_report(
    reported: list[type[BaseException]],
) -> None:
    _free_suspended(_read())
    assert reported == [RuntimeError], "without the context manager, the error is reported"
    with ClosingErrorsIgnored():
        _free_suspended(_read())
    assert reported == [RuntimeError]


def test_other_errors_are_reported_and_the_hook_is_restored(
    reported: list[type[BaseException]],
) -> None:
    former = sys.unraisablehook
    with ClosingErrorsIgnored():
        _free_suspended(_fail())
    assert reported == [ValueError]
    assert sys.unraisablehook is former


def test_a_hook_that_was_set_meanwhile_stays(reported: list[type[BaseException]]) -> None:
    def later(_: object) -> None:
        """Report nothing."""

    with ClosingErrorsIgnored():
        sys.unraisablehook = later
    assert sys.unraisablehook is later
