"""`package.module:Name` to what stands there: how users name classes of their own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from harness.errors import BadArguments


def load(path: str, what: str) -> Any:
    """The object at `path`; modules of the working directory are found too.

    Raises BadArguments if it cannot be imported or does not exist.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise BadArguments(f"{path!r} is no {what}: expected package.module:Class")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ImportError as problem:
        raise BadArguments(
            f"the {what} {path}: {module_name} cannot be imported: {problem}"
        ) from problem
    if not hasattr(module, name):
        raise BadArguments(f"the {what} {path}: {module_name} has no {name}")
    return getattr(module, name)
