"""Faults that are classes of the user, named by a dotted path, `package.module:Class`.

The class has the methods `inject(system, members)` and `heal(system, members)`, which may be
coroutine functions. `inject` may return a text that says what the fault has changed ("" means
nothing). These attributes are optional:

- `draw(random)`, a static method, returns the fields of one fault, which are the keywords of the
  constructor. Without it, a fault has no fields.
- `targets` contains the targets from which one is drawn.
- `needs` is a protocol of `splitbrain.nemesis.capabilities` that the system must have.

A dotted path may also name a function, which returns all faults of a run: `function(random,
duration_ms, members)`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec

from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import ScheduledFault, UserFault
from splitbrain.nemesis.fault_target import TARGETS, Target

T = TypeVar("T")
METHODS = ("inject", "heal")


def is_user_kind(name: str) -> bool:
    """Return whether `name`, a kind of faults, is a dotted path such as `package.module:Class`."""
    return ":" in name


def load(path: str) -> Any:
    """Return the user's class or function at the dotted `path`.

    The module may also be in the working directory. Raises FaultError if the object does not exist,
    or is neither a function nor a class with the needed methods.
    """
    module_name, _, name = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), name)
    except Exception as problem:
        raise FaultError(
            f"the fault {path} cannot be loaded: {type(problem).__name__}: {problem}"
        ) from problem
    if not callable(found):
        raise FaultError(f"the fault {path} is {found!r:.100}; expected a class or a function")
    missing = [one for one in METHODS if isinstance(found, type) and not hasattr(found, one)]
    if missing:
        raise FaultError(f"the fault {path} has no method {' and no '.join(missing)}")
    return found


def load_class(path: str) -> type:
    """Return the user's class at the dotted `path`. Raises FaultError if there is no class."""
    found = load(path)
    if not isinstance(found, type):
        raise FaultError(f"the fault {path} is a function; expected a class")
    return found


def make(fault: UserFault) -> Any:
    """Create an object of the user's class for `fault`.

    Raises FaultError if the constructor refuses the fault's fields.
    """
    kind = load_class(fault.path)
    return _called(f"the fault {fault.path} refuses its fields", lambda: kind(**fault.fields))


def targets_of(kind: type, drawn_by_default: Sequence[Target]) -> Sequence[Target]:
    """Return the targets of the class `kind`, from which one is drawn.

    Raises FaultError for a target that does not exist.
    """
    targets = tuple(getattr(kind, "targets", drawn_by_default))
    unknown = [one for one in targets if one not in TARGETS]
    if unknown or not targets:
        raise FaultError(
            f"the fault {kind.__name__} has the targets {targets}; expected some of {TARGETS}"
        )
    return targets


def drawn(path: str, kind: type, target: Target) -> Callable[[Random], UserFault]:
    """Return a function that draws faults of the user's class `kind`, with this target.

    `path` is the dotted path of the class.
    """
    draw: Callable[[Random], object] = getattr(kind, "draw", lambda _: {})

    def draw_fault(random: Random) -> UserFault:
        fields = _called(f"{path}.draw failed", lambda: msgspec.to_builtins(draw(random)))
        if not isinstance(fields, dict):
            raise FaultError(f"{path}.draw returned {fields!r:.100}; expected a dictionary")
        return UserFault(target, path=path, fields=fields)

    return draw_fault


def scheduled_by(
    path: str, function: Callable[..., Any], random: Random, duration_ms: int,
    members: Sequence[str],
) -> tuple[ScheduledFault, ...]:
    """Return the faults of a run that the user's function at `path` returns."""
    def all_of_them() -> tuple[object, ...]:
        found = function(random, duration_ms, tuple(members))
        return tuple(found) if isinstance(found, Iterable) else (found,)

    faults = _called(f"{path} failed", all_of_them)
    for one in faults:
        if not isinstance(one, ScheduledFault):
            raise FaultError(
                f"{path} returned {one!r:.100}; expected objects of splitbrain.ScheduledFault"
            )
    return tuple(one for one in faults if isinstance(one, ScheduledFault))


def _called(what: str, function: Callable[[], T]) -> T:
    """Call `function`, which is the user's code, and return its result.

    Raises FaultError if the call raises an error. `what` names the function in the message.
    """
    try:
        return function()
    except Exception as problem:
        raise FaultError(f"{what}: {type(problem).__name__}: {problem}") from problem
