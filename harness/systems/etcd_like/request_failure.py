"""Turns an error of a request to a member into an error of the fault that sent the request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from splitbrain.harness.errors import SystemFailed
from splitbrain.nemesis.errors import FaultError


@contextlib.contextmanager
def as_fault_error() -> Iterator[None]:
    """Raise FaultError in place of SystemFailed in the body of `with as_fault_error()`."""
    try:
        yield
    except SystemFailed as problem:
        raise FaultError(str(problem)) from problem
