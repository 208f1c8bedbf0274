"""Classes of users' own: at a dotted path, or offered by an installed package.

Whatever goes wrong while a user's module is imported is told in one line, with the place
in it: the traceback would be ours for the most part.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from splitbrain.harness.errors import BadArguments


def entry_points_of(group: str) -> dict[str, EntryPoint]:
    """What installed packages offer as entry points of `group`, by name; nothing is imported."""
    points = sorted(entry_points(group=group), key=lambda point: point.name)
    return {point.name: point for point in points}


def origin_of(point: EntryPoint) -> str:
    """For a list of what there is."""
    return f"{point.value}, of an installed package"


def load_entry_point(point: EntryPoint, what: str) -> Any:
    """What the entry point names. Raises BadArguments if it cannot be imported."""
    try:
        return point.load()
    except Exception as problem:
        raise BadArguments(
            f"the {what} {point.name}, {origin_of(point)}, cannot be loaded: {_reason(problem)}"
        ) from problem


def load_path(path: str, what: str) -> Any:
    """The object at `path`, `package.module:Name`; modules of the working directory are
    found too. Raises BadArguments if it cannot be imported or does not exist."""
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise BadArguments(f"{path!r} is no {what}: expected package.module:Class")
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
    """What, and where in the user's own code: a mistake of syntax says that itself."""
    if isinstance(problem, SyntaxError):
        return f"{type(problem).__name__}: {problem}"
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__)
              if "importlib" not in frame.filename]
    last = frames[-1] if frames else None
    if isinstance(problem, ImportError) or last is None or last.filename == __file__:
        return str(problem)
    return f"{type(problem).__name__}: {problem} ({Path(last.filename).name}, line {last.lineno})"
