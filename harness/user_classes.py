"""Loads a user's classes, from a dotted path or from an entry point of an installed package.

If the import of a user's module fails, the error is one line that names the place in that module. A
traceback would mostly show this project's code.
"""

from __future__ import annotations

import functools
import importlib
import sys
import traceback
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from splitbrain.harness.errors import BadArguments


def entry_points_of(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of `group` in all installed packages, by name. Imports nothing."""
    return dict(_entry_points(group, tuple(sys.path)))


@functools.cache
def _entry_points(group: str, _path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Return the entry points of `group`, by name.

    The result is cached for each `_path`, the value of `sys.path`, because it depends on that path.
    All directories of the path are searched for installed packages.
    """
    points = sorted(entry_points(group=group), key=lambda point: point.name)
    return {point.name: point for point in points}


def origin_of(point: EntryPoint) -> str:
    """Return the description of an entry point, as a list of available names shows it."""
    return f"{point.value}, of an installed package"


def load_entry_point(point: EntryPoint, what: str) -> Any:
    """Load the object that the entry point `point` names. Raises BadArguments if the import fails.

    `what` is the kind of the object for the error message, for example "workload".
    """
    try:
        return point.load()
    except Exception as problem:
        raise BadArguments(
            f"the {what} {point.name}, {origin_of(point)}, cannot be loaded: {_reason(problem)}"
        ) from problem


def load_path(path: str, what: str) -> Any:
    """Load the object at `path`, which has the form `package.module:Name`.

    The module may also be in the working directory. Raises BadArguments if the module cannot be
    imported or has no such object. `what` is the kind of the object for the error message.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise BadArguments(f"{path!r} does not name a {what}: expected package.module:Class")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    module = _import(module_name, path, what)
    if not hasattr(module, name):
        raise BadArguments(f"the {what} {path}: {module_name} has no {name}")
    return getattr(module, name)


def _import(module_name: str, path: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except Exception as problem:
        raise BadArguments(
            f"the {what} {path}: {module_name} cannot be imported: {_reason(problem)}"
        ) from problem


def _reason(problem: Exception) -> str:
    """Return the text of an error, with the line of the user's code that raised it."""
    if isinstance(problem, SyntaxError):
        # The text of a SyntaxError contains the line already.
        return f"{type(problem).__name__}: {problem}"
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__)
              if "importlib" not in frame.filename]
    last = frames[-1] if frames else None
    if isinstance(problem, ImportError) or last is None or last.filename == __file__:
        return str(problem)
    return f"{type(problem).__name__}: {problem} ({Path(last.filename).name}, line {last.lineno})"
